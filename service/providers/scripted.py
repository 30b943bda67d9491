"""A model that needs no key: plays turns by a script, at token speed.

The same history gives the same deltas. What it plays is chosen by the text of the last
user message: `count N` streams the numbers from 1 to N, one delta a number; `fail` ends
in an error that no retry mends; anything else is a turn of two steps: reasoning, text
and a call of the clock, and after its result a text that ends the turn.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence

from service import wire
from service.domain.chat.state import Message
from service.domain.events.chat import Usage
from service.domain.parts import TextPart, ToolResultPart
from service.providers.provider import (
    BlockEnd,
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputDelta,
    ToolInputStart,
    UsageReport,
)

MAX_COUNT = 100_000
"""Half an hour at the default rate, half a megabyte of text."""

CLOCK = "clock"
CLOCK_INPUT = ('{"timezone"', ": ", '"UTC"}')
"""What the call's arguments look like while they are being written."""

QUOTED = 200
"""Characters of the user's text that an answer repeats."""

_CALL = re.compile(r"call ([a-zA-Z0-9_-]{1,64})")
_COUNT = re.compile(r"count ([0-9]{1,6})")
_WORD = re.compile(r"\s*\S+")


class Scripted:
    """The scripted provider; `rate` is in deltas a second."""

    name = "scripted"

    def __init__(self, *, rate: float) -> None:
        self._interval_s = 1.0 / rate

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Play the next step. Delta n is due n intervals after the first: no drift."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for number, delta in enumerate(play(request)):
            wait = due + number * self._interval_s - loop.time()
            # late ones still let others run between them
            await asyncio.sleep(max(0.0, wait))
            yield delta


def play(request: ModelRequest) -> Iterator[Delta]:
    """All deltas of the next step, without the waiting."""
    asked = _last_user_message(request)
    text = _text(asked) if asked is not None else ""
    if text == "fail":
        raise ProviderError(kind="generic", message="the script says to fail")
    offered, told = {tool.name for tool in request.tools}, _result(request)
    if (count := _count(text)) is not None:
        deltas = _counting(count)
    elif (match := _CALL.fullmatch(text)) and match[1] in offered:
        deltas = _call(asked, match[1]) if told is None else iter(_words(_said(told)))
    elif CLOCK not in offered:
        deltas = iter(_words(f"You wrote: {text[:QUOTED]}"))
    elif told is not None:
        deltas = iter(_words(f"{_sentence(told)} You wrote: {text[:QUOTED]}"))
    else:
        deltas = _first_step(asked)
    yield from _finished(deltas, request)


def _count(text: str) -> int | None:
    match = _COUNT.fullmatch(text)
    if match is None or int(match[1]) > MAX_COUNT:
        return None
    return int(match[1])


def _counting(count: int) -> Iterator[Delta]:
    for number in range(1, count + 1):
        yield TextDelta(str(number) if number == 1 else f" {number}")


def _first_step(asked: Message | None) -> Iterator[Delta]:
    for word in _WORD.findall(
        "The answer should say what time it is. I ask the clock."
    ):
        yield ReasoningDelta(word)
    yield BlockEnd()
    yield from _words("Let me look at the clock.")
    yield BlockEnd()
    yield from _call(asked, CLOCK, CLOCK_INPUT)


def _call(
    asked: Message | None, name: str, pieces: Sequence[str] = ("{}",)
) -> Iterator[Delta]:
    # one call a turn: the message that began the turn makes its id unique in the chat
    call_id = f"call_{asked.id if asked is not None else 0}"
    yield ToolInputStart(call_id, name)
    for piece in pieces:
        yield ToolInputDelta(call_id, name, piece)
    yield ToolCall(call_id, name, wire.loads("".join(pieces)))


def _words(text: str) -> list[Delta]:
    return [TextDelta(word) for word in _WORD.findall(text)]


def _finished(deltas: Iterator[Delta], request: ModelRequest) -> Iterator[Delta]:
    output, called = 0, False
    for delta in deltas:
        output += 1
        called = called or isinstance(delta, ToolCall)
        yield delta
    # a token is whatever came as one delta, or one part of a message
    given = sum(len(message.parts) for message in request.messages)
    usage = Usage(input_tokens=given, output_tokens=output, total_tokens=given + output)
    yield UsageReport(usage)
    yield Finish("tool_calls" if called else "stop")


def _last_user_message(request: ModelRequest) -> Message | None:
    for message in reversed(request.messages):
        if message.role == "user":
            return message
    return None


def _text(message: Message) -> str:
    texts = (part.text for part in message.parts if isinstance(part, TextPart))
    return "".join(texts).strip()


def _result(request: ModelRequest) -> ToolResultPart | None:
    """The result that came after the last user message, if one did."""
    for message in reversed(request.messages):
        if message.role == "user":
            return None
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                return part
    return None


def _said(told: ToolResultPart) -> str:
    said = wire.dumps(told.result).decode()[:QUOTED]
    return f"It failed: {said}" if told.is_error else f"It says {said}."


def _sentence(told: ToolResultPart) -> str:
    if told.is_error or not isinstance(told.result, dict):
        return "The clock does not answer."
    return f"It is {told.result.get('now')}."
