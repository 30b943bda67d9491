"""A model that says what a test gave it, one step after the other.

A step is what the model says when it is asked once: texts, reasoning, calls of tools, a
pause, a failure. A turn takes a step for each time it asks: one for a plain answer, two
around a call of a tool. Without a step left it plays the built-in script.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count

from pydantic import JsonValue

from service.domain.events.chat import Usage
from service.providers.provider import (
    BlockEnd,
    Delta,
    ErrorKind,
    Finish,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolInputStart,
    UsageReport,
)
from service.providers.scripted import Scripted

RATE = 1_000.0
"""Parts a second of the built-in script: tests do not wait for tokens."""

CALLS = count(1)
"""Makes ids of calls unique in the whole process."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the model thinks aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool; the next step is what it says to the result."""

    tool: str
    args: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """The model fails here; `retryable` is what the chat's error says of it."""

    kind: ErrorKind = "generic"
    message: str = "the test says to fail"
    retryable: bool = False


class Pause:
    """The model stops here until the test says go on, or the turn is interrupted.

    May be used from any thread or event loop.
    """

    def __init__(self) -> None:
        self._released = False
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def release(self) -> None:
        """Let the model go on, now or when it comes here."""
        with self._lock:
            self._released = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def passed(self) -> None:
        """Wait for the release."""
        event = asyncio.Event()
        with self._lock:
            if self._released:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


Said = str | Reasoning | Call | Failure | Pause
"""A string is text that the model says; it comes word by word."""

Step = Said | Sequence[Said]


class ScriptedModel:
    """The model of a Parley under test. A provider; safe to use from any thread."""

    name = "scripted"

    def __init__(self) -> None:
        self._steps: deque[list[Said]] = deque()
        self._otherwise = Scripted(rate=RATE)
        self.requests: list[ModelRequest] = []
        """Everything that it was asked, oldest first."""

    @property
    def left(self) -> int:
        """Steps that nothing has asked for yet."""
        return len(self._steps)

    def answer(self, *steps: Step) -> None:
        """Say this, a step each time the model is asked; after what was given before.

        A step is one thing to say, or a list of them.
        """
        for step in steps:
            one = isinstance(step, str) or not isinstance(step, Sequence)
            self._steps.append([step] if one else [*step])  # type: ignore[list-item, misc]

    def reset(self) -> None:
        """Forget steps and requests."""
        self._steps.clear()
        self.requests.clear()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Play the next step."""
        self.requests.append(request)
        if not self._steps:
            async with aclosing(self._otherwise.stream(request)) as deltas:
                async for delta in deltas:
                    yield delta
            return
        spoken, called = 0, False
        for said in self._steps.popleft():
            if isinstance(said, Pause):
                await said.passed()
                continue
            for delta in _deltas(said):
                spoken, called = spoken + 1, called or isinstance(delta, ToolCall)
                yield delta
                await asyncio.sleep(0)
        given = sum(len(message.parts) for message in request.messages)
        yield UsageReport(
            Usage(input_tokens=given, output_tokens=spoken, total_tokens=given + spoken)
        )
        yield Finish("tool_calls" if called else "stop")


def _deltas(said: str | Reasoning | Call | Failure) -> Iterator[Delta]:
    match said:
        case str():
            yield from map(TextDelta, _words(said))
            yield BlockEnd()
        case Reasoning():
            yield from map(ReasoningDelta, _words(said.text))
            yield BlockEnd()
        case Call():
            call_id = f"call_{next(CALLS)}"
            yield ToolInputStart(call_id, said.tool)
            yield ToolCall(call_id, said.tool, dict(said.args))
        case Failure():
            raise ProviderError(said.kind, said.message, retryable=said.retryable)


def _words(text: str) -> list[str]:
    """The text in pieces, each with the blanks after it; together they are the text."""
    first, *rest = text.split(" ")
    return [piece for piece in (first, *(f" {word}" for word in rest)) if piece]
