"""What was said is in no line of the log, at any level, whatever goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from service.domain.chat.state import Status
from service.log import LogFormat, set_up
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
)
from tests.fixtures import moves
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.lines import line
from tests.fixtures.stack import Stack
from tests.fixtures.wires import SERVERS, Wire
from tests.integration.agent.crew import (
    Speaks,
    Switchboard,
    Watch,
    a_model,
    hand,
    rests,
    used,
)

SECRET = "the-purple-badger-sings"


@pytest.fixture(params=["text", "json"])
def logged(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """Everything that a process writes at the level debug."""
    root = logging.getLogger()
    before, out = (root.handlers[:], root.level), StringIO()
    format_: LogFormat = request.param
    set_up(level="debug", format_=format_, stream=out)
    yield out
    root.handlers[:], root.level = before


@pytest.mark.parametrize("wire", list(SERVERS))
async def test_a_turn_with_a_vendors_model_says_nothing_of_it(
    stack: Stack, watch: Watch, logged: StringIO, wire: Wire
) -> None:
    async with line(wire) as opened:
        opened.server.answer(
            moves.Say((SECRET,)),
            moves.Call("call_7", "clock", (f'{{"timezone": "{SECRET}"}}',)),
            moves.Finish("tool_calls"),
        )
        opened.server.answer(moves.Say((SECRET,)), moves.Finish())
        async with hand(stack, models=opened.models):
            chat = await ChatByHand.create(stack, SECRET)
            state = await watch.until(chat.id, rests)
    assert state.status is Status.WAITING
    assert "step done" in logged.getvalue()
    assert SECRET not in logged.getvalue()


FAILURES: dict[str, list[Delta | Exception]] = {
    "a-bug": [TextDelta(SECRET), RuntimeError("a bug")],
    "refused": [ProviderError("config", "no", detail=SECRET)],
    "unstorable": [ReasoningDelta(SECRET), BlockEnd({"s": f"{SECRET}\x00"})],
    "cut": [ToolCall("c1", "clock", {"timezone": SECRET})],
}


@pytest.mark.parametrize("failure", list(FAILURES))
async def test_neither_does_one_that_fails(
    stack: Stack, watch: Watch, logged: StringIO, failure: str
) -> None:
    said = FAILURES[failure]
    end: list[Delta | Exception] = [Finish("stop")] if failure == "unstorable" else []
    provider = Speaks(
        [ToolCall("c1", "clock", {"x": SECRET}), used(900), Finish("tool_calls")],
        [TextDelta(SECRET), Finish("stop")],
        [*said, *end],
        [TextDelta(SECRET), Finish("stop")],
    )
    model = a_model(provider, context_limit=1000)
    async with hand(stack, models=Switchboard(model)):
        chat = await ChatByHand.create(stack, SECRET)
        state = await watch.until(chat.id, rests)
    assert state.summaries, "a summary was made too"
    told = logged.getvalue()
    assert "speaks" in told
    assert "m1" in told
    assert SECRET not in told
