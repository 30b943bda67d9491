"""Whatever became of a history, its vendor takes it: cut, holed, edited, shuffled.

Answers of all models are recorded as they come. Then parts and messages go missing as
interrupts, edits and lost results make them; the seed says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from random import Random

import pytest

from service import wire as wire_json
from service.domain.events.chat import MessageAppended
from service.domain.parts import ReasoningPart, ToolCallPart
from tests.builders import assistant, call, result, text, tool, user
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

OPTIONS = {**SHOWN, "web_search": True}
PAGE = Page("https://example.org/noon", "Noon")

SEEDS = range(60)
"""Histories for each vendor; each is a request without a network."""

CLOCK = (Call("call_1", "clock", ("{}",)), Call("call_2", "clock", ("{}",)))

ANSWERS: dict[str, Sequence[Move]] = {
    "thinks": (Think(("hm",)), Say(("so",)), Ends()),
    "thinks only": (Think(("hm",)), Ends()),
    "thinks in parts": (Think(("a",), more=(("b",), ("c",))), Say(("so",)), Ends()),
    "calls": (Think(("hm",)), Interleaved(CLOCK), Ends("tool_calls")),
    "speaks and calls": (Say(("look",)), CLOCK[0], Ends("tool_calls")),
    "breaks off": (Think(("hm",)), Call("c", "clock", ('{"a',)), Ends("length")),
    "cites": (Say(("so",), cites=(PAGE,)), Ends()),
    "says nothing": (Ends(),),
}

HOSTED: dict[str, Sequence[Move]] = {
    "searches": (
        Think(("hm",)),
        Search("noon", (PAGE,)),
        Think(("ah",)),
        Say(("noon",), cites=(PAGE,)),
        Ends(),
    ),
    "searches twice": (
        Search("noon", (PAGE,)),
        Search("night", error="unavailable"),
        Say(("noon",)),
        Ends(),
    ),
    "searches and calls": (
        Think(("hm",)),
        Search("noon", (PAGE,)),
        Think(("ah",)),
        Interleaved(CLOCK),
        Ends("tool_calls"),
    ),
    "hides": (
        Think(("hm",), redacted=True),
        Say(("so",)),
        CLOCK[0],
        Ends("tool_calls"),
    ),
}


async def recorded(opened: Line, wire: Wire) -> list[MessageAppended]:
    """What this model answers, one message for each answer."""
    answers = ANSWERS if wire == "openai" else {**ANSWERS, **HOSTED}
    said = []
    for moves in answers.values():
        opened.server.answer(*moves)
        deltas = await opened.ask(user("x"), effort="low", options=OPTIONS)
        said.append(message_of(deltas))
    return said


FOREIGN: Sequence[MessageAppended] = (
    assistant("plain"),
    assistant(ReasoningPart(text="hm", provider_metadata={"provider": "somebody"})),
    assistant(ReasoningPart(text="hm"), call("call_1", args=None)),
    assistant(call("c.1/ü", "ns.clock"), call("call_1", args="x")),
    assistant(text(" "), text("\0x\ud800"), call("x" * 200, "y" * 200)),
    assistant(call("srvtoolu_1", "web_search", provider_executed=True)),
)


def mutilated(random: Random, said: Sequence[MessageAppended]) -> list[MessageAppended]:
    """A history made of these answers, in which much went wrong."""
    history: list[MessageAppended] = [user("begin")] if random.random() < 0.8 else []
    for _ in range(random.randint(2, 8)):
        answer = _cut(random, random.choice([*said, *FOREIGN]))
        history.append(answer)
        history += _results(random, answer)
        if random.random() < 0.6:
            history.append(user(random.choice(["go on", " ", "\0", "x" * 2000])))
    if random.random() < 0.3:
        history.insert(random.randrange(len(history)), tool(result("lost")))
    if random.random() < 0.3:
        del history[random.randrange(len(history))]
    return [*history, user("end")]


def _cut(random: Random, answer: MessageAppended) -> MessageAppended:
    """Interrupted: only its beginning; or missing a part, as after an older release."""
    parts = list(answer.parts)
    if random.random() < 0.3:
        parts = parts[: random.randint(0, len(parts))]
    if parts and random.random() < 0.2:
        del parts[random.randrange(len(parts))]
    return replace_parts(answer, parts)


def replace_parts(answer: MessageAppended, parts: Iterable[object]) -> MessageAppended:
    return answer.model_copy(update={"parts": tuple(parts)})


def _results(random: Random, answer: MessageAppended) -> Iterable[MessageAppended]:
    calls = [
        part
        for part in answer.parts
        if isinstance(part, ToolCallPart) and not part.provider_executed
    ]
    results = [
        result(part.tool_call_id, part.tool_name, result=random.choice(["", None, {}]))
        for part in calls
        if random.random() < 0.8
    ]
    random.shuffle(results)
    if random.random() < 0.2:
        results += results[:1]
    if results and random.random() < 0.3:
        yield user("meanwhile")
    if results:
        yield tool(*results)


def sent_back(opened: Line) -> bool:
    """Whether the last request held reasoning of the server's own."""
    told = wire_json.dumps(opened.server.requests[-1].body).decode()
    return "c2VhbGVk" in told or "reasoning_content" in told


@pytest.mark.parametrize("wire", SERVERS)
async def test_nothing_is_refused(wire: Wire) -> None:
    async with AsyncExitStack() as stack:
        lines = {name: await stack.enter_async_context(line(name)) for name in SERVERS}
        said = [m for name, it in lines.items() for m in await recorded(it, name)]
        asked, own = lines[wire], 0
        for seed in SEEDS:
            history = mutilated(Random(seed), said)
            asked.server.answer(Say(("fine",)), Ends())
            deltas = await asked.ask(*history, effort="low", options=OPTIONS)
            assert asked.server.refused == [], f"seed {seed}"
            assert deltas
            own += sent_back(asked)
        assert own > len(SEEDS) / 8, "hardly anything of its own went back to it"
