"""Failures before, during and after an answer; the same kinds from every wire format.

Each is asked once: whether it is asked again is the loop's decision, by `retryable`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from service.providers.provider import (
    Delta,
    Finish,
    Opened,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
)
from tests.builders import user
from tests.fixtures.lines import Line, end_of, line, text_of
from tests.fixtures.moves import (
    Answer,
    Call,
    Cut,
    Drop,
    Fail,
    Gone,
    Move,
    Mute,
    Raw,
    Refuse,
    Say,
    Think,
    Torn,
    Wait,
)
from tests.fixtures.moves import (
    Finish as Ends,
)
from tests.fixtures.wires import Wire

Kind = tuple[str, bool]

AGAIN = True
FINAL = False

BEFORE: dict[str, tuple[Answer, Kind]] = {
    "400": (Refuse(400, "invalid_request_error", "no"), ("config", FINAL)),
    "401": (Refuse(401, "authentication_error", "no"), ("auth", FINAL)),
    "403": (Refuse(403, "permission_error", "no"), ("auth", FINAL)),
    "404": (Refuse(404, "not_found_error", "no"), ("config", FINAL)),
    "429": (Refuse(429, "rate_limit_error", "slow"), ("rate_limit", AGAIN)),
    "500": (Refuse(500, "api_error", "oh"), ("generic", AGAIN)),
    "502 of a proxy": (Raw(b"<h1>Bad Gateway</h1>", 502), ("timeout", AGAIN)),
    "503 of a proxy": (
        Raw(b"upstream connect error", 503, "text/plain"),
        ("timeout", AGAIN),
    ),
    "529": (Refuse(529, "overloaded_error", "full"), ("overloaded", AGAIN)),
    "no headers, then nothing": (Gone(), ("timeout", AGAIN)),
    "a page instead of a stream": (Raw(b"<h1>Log in</h1>"), ("timeout", AGAIN)),
    "an empty body": (Raw(b"", 200, "text/event-stream"), ("timeout", AGAIN)),
    "JSON instead of a stream": (
        Raw(b'{"ok": true}', 200, "application/json"),
        ("timeout", AGAIN),
    ),
}
SAID: tuple[Move, ...] = (Think(("hm",)), Say(("half", " an")))

DURING: dict[str, tuple[tuple[Move, ...], Kind]] = {
    "overloaded": ((Fail("overloaded_error", "Overloaded"),), ("overloaded", AGAIN)),
    "rate limit": (
        (Fail("rate_limit_exceeded", "Rate limit reached"),),
        ("rate_limit", AGAIN),
    ),
    "server": ((Fail("server_error", "broken"),), ("generic", AGAIN)),
    "server, barely": (
        (Fail("server_error", "broken", bare=True),),
        ("generic", AGAIN),
    ),
    "no quota": (
        (Fail("insufficient_quota", "You exceeded your current quota"),),
        ("usage_limit", FINAL),
    ),
    "too long": (
        (Fail("context_length_exceeded", "maximum context length is 8 tokens"),),
        ("config", FINAL),
    ),
    "a break": ((Drop(),), ("timeout", AGAIN)),
    "an end": ((Cut(),), ("timeout", AGAIN)),
}


async def failure(opened: Line, **how: Any) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await opened.ask(user(), **how)
    assert len(opened.server.requests) == 1, "an SDK has asked again by itself"
    return failed.value


async def said_before(opened: Line) -> tuple[list[Delta], ProviderError]:
    """What was passed on, and then the failure."""
    deltas: list[Delta] = []

    async def read() -> None:
        async with asyncio.timeout(20), aclosing(opened.stream(user())) as stream:
            async for delta in stream:
                deltas.append(delta)

    with pytest.raises(ProviderError) as failed:
        await read()
    return deltas, failed.value


@pytest.mark.parametrize("case", BEFORE)
async def test_before_the_stream(opened: Line, case: str) -> None:
    answer, (kind, retryable) = BEFORE[case]
    opened.server.answers.append(answer)
    error = await failure(opened)
    assert (error.kind, error.retryable) == (kind, retryable)
    # and the connection, or a new one, serves the next
    assert text_of(await opened.ask(user("count 2"))) == "1 2"


@pytest.mark.parametrize("case", DURING)
@pytest.mark.parametrize("spoken", [False, True], ids=["at-once", "in-the-middle"])
async def test_during_the_stream(opened: Line, case: str, spoken: bool) -> None:
    moves, (kind, retryable) = DURING[case]
    opened.server.answer(*(SAID if spoken else ()), *moves)
    deltas, error = await said_before(opened)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert not any(isinstance(delta, Finish) for delta in deltas)
    if spoken:
        assert text_of(deltas) == "half an"
    assert text_of(await opened.ask(user("count 2"))) == "1 2"


async def test_what_was_said_is_passed_on_before_the_failure(opened: Line) -> None:
    opened.server.answer(Think(("hm",)), Say(("half", " an")), Drop())
    deltas, _ = await said_before(opened)
    assert deltas[0] == Opened()
    assert ReasoningDelta("hm") in deltas or ReasoningDelta("") in deltas
    assert deltas[-2:] == [TextDelta("half"), TextDelta(" an")]


async def test_calls_of_a_stream_without_end_are_no_answer(opened: Line) -> None:
    opened.server.answer(Call("c1", "clock", ("{}",)), Cut())
    deltas, error = await said_before(opened)
    assert (error.kind, error.retryable) == ("timeout", True)
    assert "closed unexpectedly" in error.message
    assert not any(isinstance(delta, Finish) for delta in deltas)
    assert all(d.args == {} for d in deltas if isinstance(d, ToolCall))


async def test_a_break_after_the_end_is_none(opened: Line) -> None:
    """The vendor has said that the answer is complete: it was paid for, it counts."""
    opened.server.answer(Say(("all",)), Ends(), Drop())
    deltas = await opened.ask(user())
    assert text_of(deltas) == "all"
    assert end_of(deltas) == "stop"


async def test_silence_after_the_end_is_none(wire: Wire) -> None:
    async with line(wire, silence_s=0.3) as opened:
        opened.server.answer(Say(("all",)), Ends(), Wait())
        deltas = await opened.ask(user())
    assert text_of(deltas) == "all"
    assert end_of(deltas) == "stop"


# made anew for each test: events belong to the loop that waits for them
SILENT: dict[str, Callable[[], Answer]] = {
    "before-headers": Mute,
    "before-the-first-word": lambda: (Wait(),),
    "in-the-middle": lambda: (Say(("x",)), Wait()),
}


@pytest.mark.parametrize("when", SILENT)
async def test_silence(wire: Wire, when: str) -> None:
    async with line(wire, silence_s=0.3) as opened:
        opened.server.answers.append(SILENT[when]())
        error = await failure(opened)
        async with asyncio.timeout(20):
            await opened.server.left.wait()
    assert (error.kind, error.retryable) == ("stream_silence_timeout", True)


@pytest.mark.parametrize("after", [1, 30, 200])
@pytest.mark.parametrize("cleanly", [True, False])
async def test_a_torn_stream(opened: Line, after: int, cleanly: bool) -> None:
    torn = Torn((*SAID, Ends()), after=after, cleanly=cleanly)
    opened.server.answers.append(torn)
    error = await failure(opened)
    assert (error.kind, error.retryable) == ("timeout", True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After-Ms": "1500", "Retry-After": "7"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 529])
async def test_how_long_to_wait(
    opened: Line, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    opened.server.refuse(status, "rate_limit_error", "slow down", headers=headers)
    error = await failure(opened)
    assert error.retryable
    assert error.retry_after_s == seconds
