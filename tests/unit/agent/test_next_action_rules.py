"""The order of the rules within a turn, and what a model's window has to do with it."""

from __future__ import annotations

from itertools import combinations

import pytest

from service.agent.next_action import (
    MAX_STEPS,
    NO_RULES,
    STILL_FULL,
    Action,
    AskClient,
    Compact,
    EndTurn,
    Generate,
    GiveUp,
    Rules,
    RunTools,
    Window,
    next_action,
)
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent
from tests.builders import (
    BROWSER,
    RETRYING_AT,
    a_chat,
    a_compacted_chat,
    a_compaction,
    a_summary,
    an_answer,
    an_idle_chat,
    assistant,
    attempt,
    browse,
    call,
    compact,
    compaction_requested,
    created,
    given,
    given_state,
    result,
    retry_scheduled,
    state_of,
    tool,
    usage,
    user,
)

WINDOW = Window(limit=100, threshold_percent=70)
RULES = Rules(WINDOW, frozenset({"done"}))

ORDER: dict[str, Action] = {
    "ours": RunTools((call("o1"),)),
    "client": AskClient(),
    "wish": Compact("manual"),
    "stopped": EndTurn("stop_tool"),
    "answered": EndTurn("complete"),
    "steps": EndTurn("max_steps"),
    "full": Compact("automatic"),
    "nothing": Generate(),
}
"""What may be so of a turn, and what follows from it; the first decides."""


def turn(*facts: str) -> ChatState:
    """A turn of which all these are so."""
    step: list[ChatEvent] = [assistant(call()), tool()]
    events: list[ChatEvent] = [created(client_tools=(BROWSER,)), user()]
    if "steps" in facts:
        events += step * MAX_STEPS
    if "full" in facts:
        events += [assistant(call(), usage=usage(70)), tool()]
    if "stopped" in facts:
        events += [assistant(call("c1", "done")), tool(result("c1", "done"))]
    asked = [call("o1")] * ("ours" in facts) + [browse("b1")] * ("client" in facts)
    if asked:
        events.append(assistant(*asked))
    elif "answered" in facts:
        events.append(assistant("hi"))
    if "wish" in facts:
        events.append(compaction_requested())
    return state_of(*events)


@pytest.mark.parametrize("fact", list(ORDER))
def test_each_rule_alone(fact: str) -> None:
    assert next_action(turn(fact), RULES) == ORDER[fact]


@pytest.mark.parametrize(("first", "second"), list(combinations(ORDER, 2)))
def test_each_rule_comes_before_each_later_one(first: str, second: str) -> None:
    assert next_action(turn(first, second), RULES) == ORDER[first]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_of_everything_that_is_so_the_first_decides(place: int) -> None:
    facts = list(ORDER)[place:]
    assert next_action(turn(*facts), RULES) == ORDER[facts[0]]


def test_without_rules_neither_windows_nor_tools_end_or_shorten_anything() -> None:
    assert next_action(turn("stopped", "full")) == Generate()
    assert next_action(turn("stopped", "full"), NO_RULES) == Generate()


# tools that end a turn


def test_a_tool_that_failed_does_not_end_the_turn() -> None:
    failed = tool(result("c1", "done", is_error=True))
    state = state_of(*a_chat(), assistant(call("c1", "done")), failed)
    assert next_action(state, RULES) == Generate()


def test_a_tool_that_ended_another_turn_does_not_end_this_one() -> None:
    done = [assistant(call("c1", "done")), tool(result("c1", "done"))]
    assert next_action(state_of(*a_chat(), *done, user()), RULES) == Generate()


def test_a_summary_in_between_does_not_hide_that_a_tool_ended_the_turn() -> None:
    done = [*a_chat(), assistant(call("c1", "done")), tool(result("c1", "done"))]
    state = state_of(*done, attempt(4, 1, "compaction"), *a_summary(5, 4))
    assert next_action(state, RULES) == EndTurn("stop_tool")


# the window


@pytest.mark.parametrize(
    ("tokens", "limit", "percent", "full"),
    [
        (69, 100, 70, False),
        (70, 100, 70, True),
        (71, 100, 70, True),
        (7, 9, 78, False),
        (8, 9, 78, True),
        (1, 100, 0, True),
        (99, 100, 99, True),
        (1_000_000, 100, 100, False),
        (1_000_000, 100, 101, False),
        (0, 100, 0, False),
        (None, 100, 70, False),
        (70, 0, 70, False),
        (70, -1, 70, False),
    ],
)
def test_when_a_window_is_full(
    tokens: int | None, limit: int, percent: int, full: bool
) -> None:
    assert Window(limit, percent).full(tokens) is full


def test_a_message_after_a_long_answer_is_preceded_by_a_summary() -> None:
    answer = assistant("hi", usage=usage(70))
    assert next_action(state_of(*a_chat(), answer), RULES) == EndTurn("complete")
    assert next_action(state_of(*a_chat(), answer, user()), RULES) == (
        Compact("automatic")
    )


def test_a_summary_that_failed_is_tried_again_at_its_time() -> None:
    long = [*a_chat(), assistant("hi", usage=usage(70)), user()]
    failed = [*long, attempt(4, 1, "compaction"), retry_scheduled(4)]
    assert next_action(state_of(*failed), RULES) == Compact("automatic", RETRYING_AT)


def test_after_the_summary_the_model_goes_on_with_the_turn() -> None:
    assert next_action(summarised(), RULES) == Generate()


def test_a_prompt_that_is_too_long_right_after_the_summary_is_given_up() -> None:
    still = after(summarised(), [assistant(call(), usage=usage(70)), tool()])
    assert next_action(still, RULES) == GiveUp(STILL_FULL)
    assert (STILL_FULL.kind, STILL_FULL.retryable) == ("config", False)


def test_a_prompt_that_grew_again_is_summarised_again() -> None:
    short = [assistant(call(), usage=usage(30)), tool()]
    long = [assistant(call(), usage=usage(70)), tool()]
    grown = after(summarised(), [*short, *long])
    assert next_action(grown, RULES) == Compact("automatic")
    again = after(grown, a_summary(grown.version, grown.epoch))
    assert next_action(again, RULES) == Generate()
    assert next_action(after(again, long), RULES) == GiveUp(STILL_FULL)


def test_what_is_given_up_can_be_shortened_by_hand() -> None:
    long = [assistant("hi", usage=usage(70)), user()]
    stuck = after(summarised(), long)
    assert next_action(stuck, RULES) == GiveUp(STILL_FULL)
    rests = after(stuck, an_idle_chat()[-1:])
    asked = given_state(rests).when(compact()).state
    assert next_action(asked, RULES) == Compact("manual")


def test_an_answer_that_ends_the_turn_after_a_summary_is_not_given_up() -> None:
    told = after(summarised(), [assistant("hi", usage=usage(70))])
    assert next_action(told, RULES) == EndTurn("complete")


def test_a_summary_is_no_step() -> None:
    steps = [event for _ in range(MAX_STEPS - 1) for event in STEP]
    state = state_of(*a_chat(), *steps)
    state = after(state, a_summary(state.version, state.epoch))
    assert next_action(state, RULES) == Generate()
    assert next_action(after(state, STEP), RULES) == EndTurn("max_steps")


# a wish of somebody, in no turn


def test_a_wish_alone_ends_once_it_is_fulfilled() -> None:
    assert next_action(state_of(*a_compaction()), RULES) == Compact("manual")
    done = [*a_compaction(), *a_summary(10, 8)]
    assert next_action(state_of(*done), RULES) == EndTurn("complete")


def test_a_wish_that_failed_is_tried_again_at_its_time() -> None:
    failed = [*a_compaction(), retry_scheduled(8)]
    assert next_action(state_of(*failed), RULES) == Compact("manual", RETRYING_AT)


def test_a_wish_whose_summary_is_long_gives_nothing_up() -> None:
    """Nothing is to be said, so nothing is too long."""
    done = [*a_compaction(), *a_summary(10, 8), assistant("hi", usage=usage(70))]
    assert next_action(state_of(*done), RULES) == EndTurn("complete")


def test_a_message_after_a_summary_goes_to_the_model() -> None:
    assert next_action(state_of(*a_compacted_chat(), user()), RULES) == Generate()


def test_a_call_in_no_turn_is_answered_before_the_wish() -> None:
    open_call = [*an_answer(call()), *an_idle_chat()[-1:], compaction_requested()]
    assert next_action(state_of(*open_call), RULES) == RunTools((call(),))
    answered = given(*open_call, tool())
    assert next_action(answered.state, RULES) == Compact("manual")


STEP: list[ChatEvent] = [assistant(call()), tool()]


def summarised() -> ChatState:
    """A turn that was summarised in its middle."""
    long = [*a_chat(), assistant(call(), usage=usage(70)), tool()]
    begun = [*long, attempt(4, 1, "compaction")]
    return state_of(*begun, *a_summary(5, 4))


def after(state: ChatState, events: list[ChatEvent]) -> ChatState:
    return fold(state, events)
