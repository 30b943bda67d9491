"""What the model sees of a chat, and how much of its context that took."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from service.domain.chat.context import (
    answers_since,
    context_tokens,
    model_messages,
    said_limit,
    tokens_of,
)
from service.domain.chat.evolve import evolve
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent, Usage
from tests.builders import (
    ERROR,
    a_chat,
    a_compacted_chat,
    a_summary,
    an_answer,
    an_idle_chat,
    assistant,
    created,
    edit,
    given_state,
    model_changed,
    state_of,
    text,
    turn_failed,
    usage,
    user,
)

CONFIG, OTHER = UUID(int=1), UUID(int=2)


def seen(state: ChatState) -> list[int]:
    return [message.id for message in model_messages(state)]


def twice_compacted() -> list[ChatEvent]:
    """Messages 2, 5, the summary 11, 17, 18, the summary 19, and 24."""
    more = [user("more"), assistant("yes")]
    return [*a_compacted_chat(), *more, *a_summary(18, 18), user("and now?")]


def test_without_a_summary_the_model_sees_what_is_not_for_people_alone() -> None:
    note = assistant("by the way", visibility="user")
    hint = user("go on", visibility="model")
    assert seen(state_of(*an_answer(), note, hint)) == [2, 5, 8]


def test_from_a_summary_on_the_model_sees_it_and_what_follows() -> None:
    assert seen(state_of(*a_compacted_chat())) == [11]
    assert seen(state_of(*a_compacted_chat(), user("more"))) == [11, 17]


def test_what_the_model_was_told_first_stays() -> None:
    rule = user("be brief", role="system", visibility="model", created_by=None)
    chat = [created(), rule, user("hello"), assistant("hi")]
    assert seen(state_of(*chat, *a_summary(4, 4))) == [2, 5]


def test_the_newest_summary_stands_for_all_before_it() -> None:
    state = state_of(*twice_compacted())
    assert state.summaries == (11, 19)
    assert seen(state) == [19, 24]


@pytest.mark.parametrize(
    ("edited", "summary", "shown"),
    [(24, 19, [19]), (17, 11, [11]), (2, 0, [])],
    ids=["after both", "between", "before both"],
)
def test_an_edit_brings_back_the_summary_before_it(
    edited: int, summary: int, shown: list[int]
) -> None:
    state = given_state(state_of(*twice_compacted())).when(edit(edited)).state
    assert state.summary_id == summary
    assert seen(state) == [*shown, state.version]
    assert model_messages(state)[-1].parts == (text("rather"),)


def test_the_summary_itself_is_not_there_to_edit() -> None:
    chat = given_state(state_of(*a_compacted_chat()))
    chat.when(edit(11)).then_rejects("message-not-found")


def test_only_what_a_model_said_to_it_is_an_answer() -> None:
    note = assistant("by the way", visibility="user")
    state = state_of(*an_answer(), note, assistant("psst", visibility="model"))
    assert answers_since(state, 0) == 2
    assert answers_since(state, 5) == 1
    assert answers_since(state, 8) == 0
    assert answers_since(state_of(*a_compacted_chat()), 11) == 0


# tokens


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        (Usage(input_tokens=5), 5),
        (Usage(input_tokens=5, cache_read_tokens=7, cache_creation_tokens=11), 23),
        (Usage(cache_read_tokens=7), 7),
        (Usage(input_tokens=5, total_tokens=100), 5),
        (Usage(total_tokens=100), 100),
        (Usage(input_tokens=0, total_tokens=100), 100),
        (Usage(output_tokens=9), None),
        (Usage(input_tokens=0), None),
        (Usage(), None),
    ],
)
def test_what_a_prompt_took(told: Usage, tokens: int | None) -> None:
    assert tokens_of(told) == tokens


def test_the_newest_count_since_the_summary_holds() -> None:
    counted = [*a_chat(), assistant("hi", usage=usage(5)), user()]
    assert context_tokens(state_of(*counted)) == 5
    more = [*counted, assistant("cut off"), user()]
    assert context_tokens(state_of(*more)) == 5
    assert context_tokens(state_of(*more, assistant("so", usage=usage(9)))) == 9


def test_nothing_is_known_before_the_first_answer_after_a_summary() -> None:
    counted = [*a_chat(), assistant("hi", usage=usage(5))]
    state = state_of(*counted, *a_summary(3, 3))
    assert context_tokens(state) is None
    assert context_tokens(state_of(*an_idle_chat())) is None
    told = state_of(*counted, *a_summary(3, 3), assistant("so", usage=usage(2)))
    assert context_tokens(told) == 2


# the limit


def answered(limit: int | None, config: UUID | None = CONFIG) -> ChatEvent:
    told = usage(5, context_limit=limit)
    return assistant("hi", usage=told, model_config_id=config)


def refused(limit: int) -> ChatEvent:
    return turn_failed(error=ERROR.model_copy(update={"context_limit": limit}))


@pytest.mark.parametrize(
    ("events", "limit"),
    [
        ([], None),
        ([assistant("hi")], None),
        ([answered(None)], None),
        ([answered(0)], None),
        ([answered(100)], 100),
        ([answered(100, OTHER)], None),
        ([answered(100, None)], None),
        ([answered(100), answered(200)], 200),
        ([answered(100), answered(None)], None),
        ([answered(100), assistant("cut off")], 100),
        ([refused(50)], 50),
        ([answered(100), refused(50)], 50),
        ([answered(40), refused(50)], 40),
        ([refused(50), answered(100, OTHER)], 50),
    ],
)
def test_the_stricter_of_what_a_vendor_said(
    events: list[ChatEvent], limit: int | None
) -> None:
    assert said_limit(state_of(*a_chat(), *events), CONFIG) == limit


def test_the_model_of_the_environment_has_a_limit_too() -> None:
    state = state_of(*a_chat(), answered(100, None))
    assert said_limit(state, None) == 100


@pytest.mark.parametrize(
    "change",
    [
        model_changed(OTHER),
        user(settings={"model_config_id": OTHER}),
    ],
    ids=["update", "message"],
)
def test_another_model_has_another_limit(change: ChatEvent) -> None:
    state = state_of(*a_chat(), model_changed(CONFIG), refused(50))
    assert state.context_limit == 50
    assert evolve(state, change).context_limit is None


def test_the_same_model_keeps_its_limit() -> None:
    state = state_of(*a_chat(), model_changed(CONFIG), refused(50))
    asked: dict[str, Any] = {"settings": {"model_config_id": CONFIG}}
    for message in (user(), user(**asked)):
        assert evolve(state, message).context_limit == 50


def test_a_failure_that_says_no_limit_takes_none_away() -> None:
    assert state_of(*a_chat(), refused(50), user(), turn_failed()).context_limit == 50
