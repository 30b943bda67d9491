"""Histories as prompts: turns, pairs of calls and results, what is left out."""

from __future__ import annotations

import pytest

from service.domain.events.chat import ChatEvent, MessageAppended
from service.domain.parts import FileReferencePart, ReasoningPart, ToolCallPart
from service.providers.files import COMPATIBLE
from service.providers.prompt import prompt_of
from service.providers.repair import GO_ON, NO_RESULT, OPENING
from service.providers.turns import (
    ID_LENGTH,
    AssistantTurn,
    Call,
    Ids,
    Prompt,
    Reasoning,
    Result,
    Text,
    Turn,
    UserTurn,
)
from tests.builders import (
    NOW,
    assistant,
    call,
    created,
    result,
    state_of,
    text,
    tool,
    user,
)

ME = "anthropic"


def prompted(*events: ChatEvent, identity: str = ME) -> Prompt:
    messages = state_of(created(), *events).messages
    return prompt_of(messages, identity=identity, files={}, accepts=COMPATIBLE)


def turns(*events: ChatEvent) -> list[Turn]:
    return list(prompted(*events).turns)


def system(words: str, **fields: object) -> MessageAppended:
    return MessageAppended(at=NOW, role="system", parts=(text(words),), **fields)


def said(*texts: str) -> UserTurn:
    return UserTurn(said=[(text,) for text in texts])


def answered(*results: Result, texts: tuple[str, ...] = ()) -> UserTurn:
    return UserTurn(list(results), [(text,) for text in texts])


def spoke(*parts: object) -> AssistantTurn:
    said = [Text(part) if isinstance(part, str) else part for part in parts]
    return AssistantTurn(said)  # type: ignore[arg-type]


def thought(words: str, provider: str = ME) -> Reasoning:
    return Reasoning(words, {"provider": provider, "signature": "s"})


def signed(words: str, provider: str = ME) -> ReasoningPart:
    metadata = {"provider": provider, "signature": "s"}
    return ReasoningPart(text=words, provider_metadata=metadata)


def test_a_turn_of_two_steps() -> None:
    made = turns(
        user("time?"),
        assistant("I look.", call("c1", args={"timezone": "UTC"})),
        tool(result("c1", result={"now": "noon"})),
        assistant("Noon."),
        user("thanks"),
    )
    assert made == [
        said("time?"),
        spoke("I look.", Call("c1", "clock", {"timezone": "UTC"})),
        answered(Result("c1", "clock", '{"now":"noon"}', is_error=False)),
        spoke("Noon."),
        said("thanks"),
    ]


def test_system_messages_come_first_and_together() -> None:
    prompt = prompted(
        system("be brief", visibility="model"), user(), system("be kind"), system("  ")
    )
    assert prompt.system == ("be brief", "be kind")
    assert list(prompt.turns) == [said("hello")]


def test_what_only_the_user_sees_is_left_out() -> None:
    made = turns(
        system("secret", visibility="user"),
        user("hello"),
        assistant("aside", visibility="user"),
        user("for the model", visibility="model"),
    )
    assert made == [said("hello", "for the model")]


def test_user_messages_between_two_answers_are_one_turn() -> None:
    made = turns(user("one"), user("two"), assistant("both"), user("three"))
    assert made == [said("one", "two"), spoke("both"), said("three")]


def test_answers_after_one_another_are_one_turn() -> None:
    made = turns(user(), assistant("a"), assistant("b"), user())
    assert made[1] == spoke("a", "b")


def test_the_last_word_is_the_users() -> None:
    """Vendors refuse to go on with what a model has said."""
    assert turns(user(), assistant("and so"))[-1] == said(GO_ON)


def test_blank_text_is_no_text() -> None:
    assert turns(user(" ", "hi", "\n"), assistant("  "), user("you?")) == [
        said("hi", "you?")
    ]


def test_results_come_in_the_order_of_the_calls_before_any_text() -> None:
    made = turns(
        user(),
        assistant(call("c1"), call("c2")),
        tool(result("c2", result="two")),
        user("meanwhile"),
        tool(result("c1", result="one")),
    )
    assert made[-1] == answered(
        Result("c1", "clock", "one", is_error=False),
        Result("c2", "clock", "two", is_error=False),
        texts=("meanwhile",),
    )


def test_a_lost_result_is_made_up() -> None:
    made = turns(user(), assistant(call("c1"), call("c2")), tool(result("c2")), user())
    (lost, found) = made[2].results  # type: ignore[union-attr]
    assert lost == Result("c1", "clock", NO_RESULT, is_error=True)
    assert found.text == "noon"


def test_a_call_at_the_end_is_answered_too() -> None:
    made = turns(user(), assistant(call("c1")))
    assert made[-1] == answered(Result("c1", "clock", NO_RESULT, is_error=True))


def test_a_second_result_of_a_call_is_dropped() -> None:
    made = turns(user(), assistant(call()), tool(), tool(result(result="again")))
    assert made[-1] == answered(Result("c1", "clock", "noon", is_error=False))


def test_a_result_without_its_call_gets_one() -> None:
    made = turns(user(), assistant("well"), tool(result("lost")), user("go on"))
    assert made == [
        said("hello"),
        spoke("well", Call("lost", "clock", {})),
        answered(Result("lost", "clock", "noon", is_error=False), texts=("go on",)),
    ]


def test_results_with_and_without_calls_are_told_apart() -> None:
    made = turns(user(), assistant(call("c1")), tool(result("c9")), tool(result("c1")))
    assert made[1:] == [
        spoke(Call("c1", "clock", {})),
        answered(Result("c1", "clock", "noon", is_error=False)),
        spoke(Call("c9", "clock", {})),
        answered(Result("c9", "clock", "noon", is_error=False)),
    ]


def test_a_result_without_call_and_name_is_dropped() -> None:
    assert turns(user(), tool(result("lost", tool=""))) == [said("hello")]


def test_a_history_that_begins_with_an_answer_gets_an_opening() -> None:
    assert turns(assistant("I am back"), user("good")) == [
        said(OPENING),
        spoke("I am back"),
        said("good"),
    ]
    assert turns(tool(result("c1"))) == [
        said(OPENING),
        spoke(Call("c1", "clock", {})),
        answered(Result("c1", "clock", "noon", is_error=False)),
    ]


@pytest.mark.parametrize("args", [None, "text", [1], 7])
def test_arguments_that_are_no_object_become_an_empty_one(args: object) -> None:
    made = turns(user(), assistant(call(args=args)), tool())
    assert made[1] == spoke(Call("c1", "clock", {}))


def test_ids_that_come_again_are_told_apart() -> None:
    made = turns(
        user(), assistant(call("c.1")), tool(result("c.1")),
        assistant(call("c.1"), call("c_1")), tool(result("c_1")), tool(result("c.1")),
    )  # fmt: skip
    calls = [p for t in made if isinstance(t, AssistantTurn) for p in t.parts]
    assert [c.id for c in calls if isinstance(c, Call)] == ["c_1", "c_1_2", "c_1_3"]
    last = made[-1]
    assert isinstance(last, UserTurn)
    assert [r.id for r in last.results] == ["c_1_2", "c_1_3"]


def test_a_call_twice_in_one_answer_is_one_call() -> None:
    made = turns(user(), assistant(call("c1"), call("c1")), tool())
    assert made[1] == spoke(Call("c1", "clock", {}))


def test_names_of_tools_are_made_of_what_vendors_take() -> None:
    made = turns(user(), assistant(call(tool="functions.clock" + "x" * 99)), tool())
    (made_call,) = made[1].parts  # type: ignore[union-attr]
    assert isinstance(made_call, Call)
    assert made_call.name.startswith("functions_clockxxx")
    assert len(made_call.name) == 64


def test_reasoning_goes_back_to_the_one_who_signed_it() -> None:
    events = (user(), assistant(signed("mine"), signed("theirs", "openai"), "so"))
    assert turns(*events)[1] == spoke(thought("mine"), "so")
    others = prompted(*events, identity="openai").turns[1]
    assert others == spoke(thought("theirs", "openai"), "so")
    assert prompted(*events, identity="x").turns[1] == spoke("so")


def test_reasoning_that_nobody_signed_stays_here() -> None:
    made = turns(user(), assistant(ReasoningPart(text="hm"), "so"), user())
    assert made[1] == spoke("so")


def test_no_answer_ends_in_reasoning() -> None:
    made = turns(user(), assistant("so", signed("why?")), user())
    assert made[1] == spoke("so")
    assert turns(user("a"), assistant(signed("only")), user("b")) == [said("a", "b")]


def test_metadata_of_a_call_is_its_vendors() -> None:
    own = {"provider": ME, "details": {"thought": "x"}}
    other = {"provider": "openai", "details": {"thought": "y"}}
    made = turns(
        user(),
        assistant(
            call("c1", provider_metadata=own), call("c2", provider_metadata=other)
        ),
    )
    calls = made[1].parts  # type: ignore[union-attr]
    assert [c.metadata for c in calls if isinstance(c, Call)] == [own, None]


def test_what_a_provider_executed_is_not_told() -> None:
    search = ToolCallPart(
        tool_call_id="s1", tool_name="search", args={}, provider_executed=True
    )
    found = result("s1", "search", provider_executed=True)
    made = turns(user(), assistant(search, found, "found it"), user())
    assert made[1] == spoke("found it")


def test_lines_of_a_file_are_quoted() -> None:
    reference = FileReferencePart(
        file_name="a.py", start_line=3, end_line=4, content="x = 1\ny = 2"
    )
    assert turns(user("look at", reference)) == [
        said("look at\n\na.py, lines 3-4:\n```\nx = 1\ny = 2\n```")
    ]


def test_lines_of_a_file_cannot_close_their_fence() -> None:
    reference = FileReferencePart(
        file_name="a.md", start_line=1, end_line=1, content="````"
    )
    assert turns(user(reference)) == [said("a.md, line 1:\n`````\n````\n`````")]


def test_a_history_of_nothing_is_still_a_prompt() -> None:
    assert turns(system("be brief")) == [said(OPENING)]


def test_ids_keep_within_the_limit() -> None:
    ids = Ids()
    made = [ids.take("x" * 50) for _ in range(12)]
    assert len(set(made)) == 12
    assert {len(one) for one in made} == {ID_LENGTH}
    assert ids.take("") == "call"
    assert ids.take("ключ") == "____"
    assert ids.take("call_2") == "call_2"
    assert [ids.take("call") for _ in range(2)] == ["call_3", "call_4"]
