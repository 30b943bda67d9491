"""However a body is cut on its way, it says the same; cut off, it says nothing.

Recorded bytes of each wire format go through the whole client but its sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    UsageReport,
)
from service.providers.vendor.model import VendorProvider, open_vendor
from tests.builders import created, state_of, user
from tests.fixtures.lines import SHOWN, end_of, line, message_of, text_of
from tests.fixtures.moves import (
    Call,
    Interleaved,
    Move,
    Say,
    Think,
    Torn,
)
from tests.fixtures.moves import (
    Finish as Ends,
)
from tests.fixtures.socketless import Socketless
from tests.fixtures.wires import SERVERS, Wire, vendor_model

ANSWER: Sequence[Move] = (
    Think(("hm, ", "é 🌊")),
    Say(("Olé ", "🌊\n\n", "data: x")),
    Interleaved(
        (
            Call("c1", "clock", ('{"at', '": "🌊\\n"}')),
            Call("c2", "clock", ("{}",)),
        )
    ),
    Ends("tool_calls"),
)

ADDRESS = "http://nowhere.test"

SHARES = 8
"""Runs that share all offsets: one run stays far below a test's time."""

STRIDE = 23
"""Every so manieth offset in a quick run: no multiple of any frame's length."""

REQUEST = ModelRequest(
    messages=list(state_of(created(), user()).messages), tools=[], options=SHOWN
)


@dataclass
class Recorded:
    """A provider whose answers are cut as a test says."""

    provider: VendorProvider
    there: Socketless

    async def ask(self, cut: Callable[[bytes], Sequence[bytes]]) -> list[Delta]:
        self.there.cut = cut
        async with aclosing(self.provider.stream(REQUEST)) as deltas:
            return [delta async for delta in deltas]


@pytest_asyncio.fixture
async def recorded(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Recorded]:
    server = SERVERS[wire](seal="recorded")
    there = Socketless(server, ANSWER)
    there.install(monkeypatch)
    chosen = vendor_model(wire, f"{ADDRESS}{server.prefix}", server.key)
    async with open_vendor(chosen) as provider:
        yield Recorded(provider, there)


def in_two(at: int) -> Callable[[bytes], Sequence[bytes]]:
    return lambda body: (body[:at], body[at:])


def in_pieces(size: int) -> Callable[[bytes], Sequence[bytes]]:
    return lambda body: [body[at : at + size] for at in range(0, len(body), size)]


def cut_off(at: int) -> Callable[[bytes], Sequence[bytes]]:
    return lambda body: (body[:at],)


def whole(body: bytes) -> Sequence[bytes]:
    return (body,)


def frame_ends(body: bytes) -> Iterator[int]:
    at = 0
    while (found := body.find(b"\n\n", at)) >= 0:
        at = found + 2
        yield at


def inside_characters(body: bytes) -> list[int]:
    """Offsets where a character of several bytes is torn apart."""
    return [at for at, byte in enumerate(body) if byte & 0xC0 == 0x80]


async def test_the_recorded_answer_says_what_it_should(recorded: Recorded) -> None:
    deltas = await recorded.ask(whole)
    assert text_of(deltas) == "Olé 🌊\n\ndata: x"
    assert end_of(deltas) == "tool_calls"
    parts = message_of(deltas).parts
    kinds = [part.type for part in parts]
    assert kinds == ["reasoning", "text", "tool-call", "tool-call"]
    assert parts[2].args == {"at": "🌊\n"}  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 64, 1000])
async def test_pieces_of_any_size_say_the_same(recorded: Recorded, size: int) -> None:
    want = await recorded.ask(whole)
    assert await recorded.ask(in_pieces(size)) == want


async def test_two_pieces_say_the_same(recorded: Recorded) -> None:
    want = await recorded.ask(whole)
    body = recorded.there.body
    torn = inside_characters(body)
    assert len(torn) > 10
    ends = [end + near for end in frame_ends(body) for near in (-1, 0)]
    for at in sorted({*ends, *torn, *range(0, len(body), STRIDE)}):
        assert await recorded.ask(in_two(at)) == want, f"cut at {at}"


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
async def test_two_pieces_say_the_same_wherever_they_are_cut(
    recorded: Recorded, share: int
) -> None:
    want = await recorded.ask(whole)
    for at in range(share, len(recorded.there.body), SHARES):
        assert await recorded.ask(in_two(at)) == want, f"cut at {at}"


async def off(recorded: Recorded, at: int, want: list[Delta]) -> None:
    """Cut off there, the answer is an error, unless all of it had been said."""
    got, failed = list[Delta](), None
    try:
        got = await recorded.ask(cut_off(at))
    except ProviderError as error:
        failed = error
    if failed is None:
        assert _said(got) == _said(want), f"cut at {at}"
    else:
        assert (failed.kind, failed.retryable) == ("timeout", True), f"cut at {at}"


def _said(deltas: list[Delta]) -> list[Delta]:
    """Without what some servers only say after the end: usage."""
    said = [delta for delta in deltas if not isinstance(delta, UsageReport)]
    last = said[-1]
    assert isinstance(last, Finish)
    return [*said[:-1], replace(last, response=None)]


async def test_a_body_that_is_cut_off_is_no_answer(recorded: Recorded) -> None:
    want = await recorded.ask(whole)
    body = recorded.there.body
    for at in sorted({*frame_ends(body), *range(0, len(body), STRIDE)}):
        await off(recorded, at, want)
    # nothing before the last two frames, or the last three of chat completions
    last = list(frame_ends(body))[-4]
    for at in range(0, last, 4 * STRIDE):
        with pytest.raises(ProviderError):
            await recorded.ask(cut_off(at))


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
async def test_a_body_that_is_cut_off_anywhere_is_no_answer(
    recorded: Recorded, share: int
) -> None:
    want = await recorded.ask(whole)
    for at in range(share, len(recorded.there.body), SHARES):
        await off(recorded, at, want)


# and over HTTP


@asynccontextmanager
async def over_http(wire: Wire, size: int) -> AsyncIterator[list[Delta]]:
    async with line(wire, bytes_at_a_time=size) as opened:
        opened.server.answer(*ANSWER)
        yield await opened.ask(user(), tools=[])


@pytest.mark.parametrize("size", [1, 13, 160])
async def test_over_http_pieces_say_the_same(wire: Wire, size: int) -> None:
    async with over_http(wire, size) as pieces, over_http(wire, 10**6) as plain:
        assert text_of(pieces) == text_of(plain)
        assert len(pieces) == len(plain)
        assert end_of(pieces) == "tool_calls"


@pytest.mark.parametrize("share", range(12))
async def test_over_http_a_torn_body_is_no_answer(wire: Wire, share: int) -> None:
    async with line(wire) as opened:
        moves = (*ANSWER[:-1],)
        for cleanly in (True, False):
            torn = Torn(moves, after=share * 150, cleanly=cleanly)
            opened.server.answers.append(torn)
            with pytest.raises(ProviderError) as failed:
                await opened.ask(user(), tools=[])
            assert (failed.value.kind, failed.value.retryable) == ("timeout", True)
