"""A model that needs no key: plays turns by a script, at token speed.

The same history gives the same deltas. What it plays is chosen by the text of the last
user message: `count N` streams the numbers from 1 to N, one delta a number; `call TOOL`
calls that tool with no arguments and says what it gave; `fail` ends in an error that no
retry mends; `fail N` is overloaded for the first N tries, and then plays as if it had
been another text. Anything else is a turn of two steps: reasoning, text and a call of
the clock, and after its result a text that ends the turn. Tools that are not offered,
or may not be called, are not.

Asked for a title, it answers with the first words of the chat, each with a capital;
asked for a summary, with a line that counts the messages and quotes the last of the
user's. Usage is made up, but like the real thing: what a request costs grows with all
that it tells, by a token for four characters; an answer costs a token a delta.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence

from service import wire
from service.domain.chat.state import Message
from service.domain.events.chat import Usage
from service.domain.parts import (
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.domain.prompts import SUMMARY_INSTRUCTION
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
from service.providers.title import TITLE_INSTRUCTION

MAX_COUNT = 100_000
"""Half an hour at the default rate, half a megabyte of text."""

CLOCK = "clock"
CLOCK_INPUT = ('{"timezone"', ": ", '"UTC"}')
"""What the call's arguments look like while they are being written."""

QUOTED = 200
"""Characters of the user's text that an answer repeats."""

TITLE_WORDS = 4
"""The fewest that tell chats apart."""

TOKEN = 4
"""Characters, about, of English text."""

_FAIL = re.compile(r"fail ([0-9]{1,3})")
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
    if TITLE_INSTRUCTION in request.system:
        deltas = iter(_words(_title(asked)))
    elif text == SUMMARY_INSTRUCTION:
        deltas = iter(_words(_summary(request.messages)))
    else:
        _fail(text, request)
        deltas = _step(asked, text, request)
    yield from _finished(deltas, request)


def _fail(text: str, request: ModelRequest) -> None:
    if text == "fail":
        raise ProviderError(kind="generic", message="the script says to fail")
    match = _FAIL.fullmatch(text)
    # of a turn only the beginning: later steps count their tries from one again
    begins = request.messages[-1:] and request.messages[-1].role == "user"
    if match and begins and request.attempt <= int(match[1]):
        message = f"the script says to fail {match[1]} times"
        raise ProviderError(kind="overloaded", message=message, retryable=True)


def _step(asked: Message | None, text: str, request: ModelRequest) -> Iterator[Delta]:
    callable_ = request.tool_choice != "none"
    offered = {tool.name for tool in request.tools} if callable_ else set()
    told = _result(request)
    if (count := _count(text)) is not None:
        return _counting(count)
    if (match := _CALL.fullmatch(text)) and match[1] in offered:
        return _call(asked, match[1]) if told is None else iter(_words(_said(told)))
    if CLOCK not in offered:
        return iter(_words(f"You wrote: {text[:QUOTED]}"))
    if told is not None:
        return iter(_words(f"{_sentence(told)} You wrote: {text[:QUOTED]}"))
    return _first_step(asked)


def _title(asked: Message | None) -> str:
    parts = asked.parts if asked is not None else ()
    texts = (part.text for part in parts if isinstance(part, TextPart))
    # further texts of such a request quote the rest of the chat
    words = next(texts, "").split()[:TITLE_WORDS]
    return " ".join(word[:1].upper() + word[1:] for word in words)


def _summary(messages: Sequence[Message]) -> str:
    earlier = messages[:-1]
    said = [text for m in earlier if m.role == "user" and (text := _text(m))]
    last = said[-1][:QUOTED] if said else "nothing"
    return f"{len(earlier)} messages came before. The user wrote last: {last}"


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
    given = _given(request)
    usage = Usage(input_tokens=given, output_tokens=output, total_tokens=given + output)
    yield UsageReport(usage)
    yield Finish("tool_calls" if called else "stop")


def _given(request: ModelRequest) -> int:
    """Tokens of all that the request tells."""
    parts = (part for message in request.messages for part in message.parts)
    told = [*map(len, request.system), *map(_size, parts)]
    return sum(size // TOKEN + 1 for size in told)


def _size(part: Part) -> int:
    match part:
        case TextPart() | ReasoningPart():
            return len(part.text)
        case ToolCallPart():
            return len(wire.dumps(part.args))
        case ToolResultPart():
            return len(wire.dumps(part.result))
    return 0


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
