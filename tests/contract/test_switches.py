"""A chat goes on with another model in the middle: nothing is refused, nothing leaks.

What one server signed, encrypted, numbered or executed means nothing to another, be it
of the same vendor. What was said and done does, and goes with the chat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product

import pytest
import pytest_asyncio

from service import wire as json
from service.domain.events.chat import MessageAppended
from tests.builders import assistant, call, result, tool, user
from tests.fixtures.lines import SHOWN, Line, line, message_of
from tests.fixtures.moves import (
    Call,
    Interleaved,
    Move,
    Page,
    Say,
    Search,
    Think,
)
from tests.fixtures.moves import (
    Finish as Ends,
)
from tests.fixtures.wires import SERVERS, Wire

SEALED = "c2VhbGVk"
OPTIONS = {**SHOWN, "web_search": True}
PAGE = Page("https://example.org/noon", "Noon")
PAIRS = [(a, b) for a, b in product(SERVERS, SERVERS)]


@pytest_asyncio.fixture(params=PAIRS, ids="-to-".join)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Line, Line]]:
    """Two servers, also where both are of one kind."""
    first, second = request.param
    async with line(first) as one, line(second) as other:
        yield one, other


def sealed(opened: Line) -> int:
    """How many seals the last request holds; all are its own, or it had refused."""
    return json.dumps(opened.server.requests[-1].body).decode().count(SEALED)


def ids(opened: Line) -> str:
    return json.dumps(opened.server.requests[-1].body).decode()


def thinks(wire: str) -> list[Move]:
    if wire == "openai":
        return [Think(("I think",))]
    return [Think(("I search",)), Search("noon", (PAGE,)), Think(("I think",))]


async def a_turn(opened: Line, history: list[MessageAppended], number: int) -> None:
    """Reasoning, a search, text, two calls, their results, an answer that cites."""
    wire = next(w for w, make in SERVERS.items() if type(opened.server) is make)
    # the same ids from every model: they must be told apart
    calls = (Call("call_1", "clock", ("{}",)), Call("call_2", "clock", ("{}",)))
    opened.server.answer(
        *thinks(wire),
        Say((f"I look, {number}.",)),
        # chat completions think once, before they speak
        *([Think(("both",))] if wire != "openai" else []),
        Interleaved(calls),
        Ends("tool_calls"),
    )
    history.append(user(f"time {number}?"))
    first = message_of(await opened.ask(*history, effort="low", options=OPTIONS))
    made = [part for part in first.parts if part.type == "tool-call"]
    own = [part for part in made if not part.provider_executed]
    results = [
        result(part.tool_call_id, result=f"noon {number} {part.tool_call_id}")
        for part in own
    ]
    history += [first, tool(*results)]
    opened.server.answer(Say((f"Noon, {number}.",), cites=(PAGE,)), Ends())
    history.append(
        message_of(await opened.ask(*history, effort="low", options=OPTIONS))
    )


async def test_each_goes_on_where_another_was(pair: tuple[Line, Line]) -> None:
    one, other = pair
    history: list[MessageAppended] = []
    await a_turn(one, history, 1)
    await a_turn(one, history, 2)
    before = sealed(one)
    await a_turn(other, history, 3)
    await a_turn(other, history, 4)
    await a_turn(one, history, 5)
    assert one.server.refused == []
    assert other.server.refused == []
    # its own thoughts of before the switch are still told
    assert sealed(one) >= before
    told = ids(one)
    for number in range(1, 5):
        assert f"Noon, {number}." in told
    for number in range(1, 6):
        assert f"noon {number} call_1" in told
        assert told.count(f"time {number}?") == 1


async def test_another_is_told_nothing_that_only_the_first_can_read(
    pair: tuple[Line, Line],
) -> None:
    one, other = pair
    history: list[MessageAppended] = []
    await a_turn(one, history, 1)
    other.server.answer(Say(("Hello.",)), Ends())
    await other.ask(*history, user("and you?"), effort="low", options=OPTIONS)
    assert other.server.refused == []
    assert sealed(other) == 0
    told = ids(other)
    assert "srvtoolu_" not in told
    assert '"id":"ws_' not in told
    assert '"id":"rs_' not in told
    assert "I think" not in told
    assert "I look, 1." in told


@pytest.mark.parametrize("wire", SERVERS)
async def test_a_history_of_nobody_is_told(wire: Wire) -> None:
    """Copied, imported, or of a model that was removed long ago."""
    async with line(wire) as opened:
        opened.server.answer(Say(("Hello.",)), Ends())
        await opened.ask(
            user("time?"),
            assistant("I look.", call("call_1"), call("srvtoolu_1", "web_search")),
            tool(result("call_1"), result("srvtoolu_1", "web_search")),
            assistant("Noon."),
            user("sure?"),
            options=OPTIONS,
        )
        assert opened.server.refused == []


@pytest.mark.parametrize("wire", SERVERS)
async def test_a_switch_while_calls_are_open(wire: Wire) -> None:
    """The one has called; the other gets the results."""
    async with line("anthropic") as one, line(wire) as other:
        one.server.answer(
            Think(("hm",)), Call("toolu_1", "clock", ("{}",)), Ends("tool_calls")
        )
        said = message_of(await one.ask(user("time?"), effort="low"))
        other.server.answer(Say(("Noon.",)), Ends())
        await other.ask(user("time?"), said, tool(result("toolu_1")), effort="low")
        assert other.server.refused == []
        assert other.server.requests[-1].results == ("noon",)
