"""What the scripted model plays, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from service.domain.chat.state import Message
from service.domain.events.chat import ChatEvent
from service.domain.prompts import SUMMARY_INSTRUCTION
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    UsageReport,
)
from service.providers.scripted import MAX_COUNT, Scripted, play
from service.providers.title import MAX_WORDS, TITLE_INSTRUCTION, normalise_title
from service.tools.clock import SPEC
from tests.builders import assistant, call, created, result, state_of, tool, user

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Does not wait: tells how long it would have waited."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.waited += timeout
        return ready


class _FakeTime(asyncio.SelectorEventLoop):
    """A loop whose clock moves only while it waits."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.waited


def in_fake_time(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=_FakeTime) as runner:
        return runner.run(work)


def asked(*events: ChatEvent, tools: bool = True) -> ModelRequest:
    messages: list[Message] = list(state_of(created(), *events).messages)
    return ModelRequest(messages=messages, tools=[SPEC] if tools else [])


def played(*events: ChatEvent, tools: bool = True) -> list[Delta]:
    return list(play(asked(*events, tools=tools)))


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@pytest.mark.parametrize(("count", "text"), [(1, "1"), (5, "1 2 3 4 5"), (0, "")])
def test_count_says_the_numbers_one_delta_each(count: int, text: str) -> None:
    deltas = played(user(f"count {count}"))
    assert text_of(deltas) == text
    assert sum(isinstance(delta, TextDelta) for delta in deltas) == count
    assert deltas[-1] == Finish("stop")


def test_numbers_after_the_first_carry_the_space_before_them() -> None:
    assert played(user("count 3"))[:3] == [
        TextDelta("1"),
        TextDelta(" 2"),
        TextDelta(" 3"),
    ]


@pytest.mark.parametrize(
    "text", ["count", "count -1", "count 3 please", "Count 3", f"count {MAX_COUNT + 1}"]
)
def test_what_only_looks_like_count_is_an_ordinary_turn(text: str) -> None:
    assert any(isinstance(delta, ToolCall) for delta in played(user(text)))


def test_fail_fails_for_good() -> None:
    with pytest.raises(ProviderError) as failure:
        played(user("fail"))
    assert not failure.value.retryable


def test_the_first_step_reasons_speaks_and_calls_the_clock() -> None:
    deltas = played(user("what time is it?"))
    kinds = [type(delta) for delta in deltas]
    assert kinds.index(ReasoningDelta) < kinds.index(TextDelta) < kinds.index(ToolCall)
    typed = "".join(d.args_delta for d in deltas if isinstance(d, ToolInputDelta))
    (made,) = (d for d in deltas if isinstance(d, ToolCall))
    assert typed == '{"timezone": "UTC"}'
    assert made.args == {"timezone": "UTC"}
    assert made.tool_name == "clock"
    assert deltas[-1] == Finish("tool_calls")


def test_the_second_step_tells_the_result_and_ends() -> None:
    told = result(result={"now": "2026-03-01T12:00:00+00:00", "timezone": "UTC"})
    deltas = played(user("what time is it?"), assistant(call()), tool(told))
    assert text_of(deltas) == (
        "It is 2026-03-01T12:00:00+00:00. You wrote: what time is it?"
    )
    assert deltas[-1] == Finish("stop")


def test_a_failed_clock_is_told_too() -> None:
    deltas = played(user("hi"), assistant(call()), tool(result(is_error=True)))
    assert text_of(deltas) == "The clock does not answer. You wrote: hi"


def test_without_a_clock_the_turn_has_one_step() -> None:
    deltas = played(user("hi"), tools=False)
    assert text_of(deltas) == "You wrote: hi"
    assert deltas[-1] == Finish("stop")


def test_the_last_user_message_decides() -> None:
    deltas = played(user("count 3"), assistant("1 2 3"), user("count 2"))
    assert text_of(deltas) == "1 2"


def test_call_ids_differ_between_turns() -> None:
    first = played(user("a"))
    second = played(user("a"), assistant(call()), tool(), assistant("x"), user("b"))
    ids = [d.tool_call_id for d in [*first, *second] if isinstance(d, ToolCall)]
    assert len(set(ids)) == 2


def test_the_same_history_plays_the_same() -> None:
    assert played(user("hello")) == played(user("hello"))


def test_usage_counts_the_deltas() -> None:
    (report,) = (d for d in played(user("count 9")) if isinstance(d, UsageReport))
    assert report.usage.output_tokens == 9


def tokens_given(request: ModelRequest) -> int:
    (report,) = (d for d in play(request) if isinstance(d, UsageReport))
    assert report.usage.total_tokens == (
        (report.usage.input_tokens or 0) + (report.usage.output_tokens or 0)
    )
    return report.usage.input_tokens or 0


def test_usage_grows_with_all_that_is_told() -> None:
    short = asked(user("count 2"))
    longer = asked(user("x" * 400), assistant("y" * 400), user("count 2"))
    called = asked(assistant(call(args={"a": "z" * 400})), user("count 2"))
    answered = asked(assistant(call()), tool(result(result="z" * 400)), user("count 2"))
    base = tokens_given(short)
    assert tokens_given(longer) >= base + 200
    assert tokens_given(called) >= base + 100
    assert tokens_given(answered) >= base + 100
    with_system = dataclasses.replace(short, system=["be brief" * 50])
    assert tokens_given(with_system) == base + 101
    assert tokens_given(dataclasses.replace(short, attempt=9)) == base


@pytest.mark.parametrize(("fails", "attempt"), [(1, 1), (3, 1), (3, 3), (25, 24)])
def test_fail_n_fails_for_the_first_n_tries(fails: int, attempt: int) -> None:
    request = dataclasses.replace(asked(user(f"fail {fails}")), attempt=attempt)
    with pytest.raises(ProviderError) as failure:
        list(play(request))
    assert (failure.value.kind, failure.value.retryable) == ("overloaded", True)


@pytest.mark.parametrize(("fails", "attempt"), [(0, 1), (1, 2), (3, 4)])
def test_fail_n_then_plays_an_ordinary_turn(fails: int, attempt: int) -> None:
    request = dataclasses.replace(asked(user(f"fail {fails}")), attempt=attempt)
    deltas = list(play(request))
    assert any(isinstance(delta, ToolCall) for delta in deltas)
    assert deltas[-1] == Finish("tool_calls")


def test_fail_n_does_not_fail_again_after_the_first_step() -> None:
    deltas = played(user("fail 3"), assistant(call()), tool())
    assert text_of(deltas).endswith("You wrote: fail 3")


@pytest.mark.parametrize("text", ["call clock", "what time is it?"])
def test_no_tool_is_called_when_none_may_be(text: str) -> None:
    request = dataclasses.replace(asked(user(text)), tool_choice="none")
    deltas = list(play(request))
    assert text_of(deltas) == f"You wrote: {text}"
    assert deltas[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("how do I bake bread without yeast?", "How Do I Bake"),
        ("fail", "Fail"),
        ("fail 3", "Fail 3"),
        ("count 7", "Count 7"),
        ("HTTP  über\ntCP", "HTTP Über TCP"),
    ],
)
def test_a_title_is_the_first_words(said: str, title: str) -> None:
    request = dataclasses.replace(
        asked(user(said, "An excerpt:\n\nUser: more"), tools=False),
        system=[TITLE_INSTRUCTION],
    )
    told = text_of(list(play(request)))
    assert told == title
    assert normalise_title(told) == title
    assert len(told.split()) <= MAX_WORDS


def test_a_summary_is_a_line_and_calls_nothing() -> None:
    request = asked(
        user("what time is it?"),
        assistant("It is noon."),
        user("w" * 900),
        assistant("I see."),
        user(SUMMARY_INSTRUCTION),
    )
    deltas = list(play(request))
    assert text_of(deltas) == (
        f"4 messages came before. The user wrote last: {'w' * 200}"
    )
    assert deltas[-1] == Finish("stop")


def test_a_summary_of_nothing_is_one_too() -> None:
    assert text_of(played(user(SUMMARY_INSTRUCTION))) == (
        "0 messages came before. The user wrote last: nothing"
    )


async def _times(provider: Scripted, request: ModelRequest, held_s: float) -> list[Any]:
    loop, times = asyncio.get_running_loop(), []
    async for delta in provider.stream(request):
        times.append((round(loop.time(), 6), delta))
        await asyncio.sleep(held_s)
    return times


def test_deltas_come_at_the_rate() -> None:
    times = in_fake_time(_times(Scripted(rate=50), asked(user("count 100")), 0.0))
    assert [at for at, _ in times[:4]] == [0.0, 0.02, 0.04, 0.06]
    assert times[99][0] == pytest.approx(99 * 0.02)


def test_a_slow_reader_causes_no_drift() -> None:
    times = in_fake_time(_times(Scripted(rate=50), asked(user("count 100")), 0.015))
    assert times[99][0] == pytest.approx(99 * 0.02)


def test_a_reader_that_is_late_gets_what_is_due_at_once() -> None:
    times = in_fake_time(_times(Scripted(rate=50), asked(user("count 10")), 0.05))
    assert [at for at, _ in times[:3]] == [0.0, 0.05, 0.1]


def test_call_calls_what_is_offered_and_says_what_it_said() -> None:
    request = asked(user("call clock"))
    (called,) = (d for d in play(request) if isinstance(d, ToolCall))
    assert (called.tool_name, called.args) == ("clock", {})
    answered = played(user("call clock"), assistant(call()), tool(result(result=[1])))
    assert text_of(answered) == "It says [1]."
    failed = played(user("call clock"), assistant(call()), tool(result(is_error=True)))
    assert text_of(failed).startswith("It failed: ")
    assert answered[-1] == Finish("stop")
    assert text_of(played(user("call home"), tools=False)) == "You wrote: call home"
