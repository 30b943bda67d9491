"""How long a model may be silent: a limit to its first sign, and one after each.

One watcher for a whole attempt; a delta only moves its deadline. Whoever is first, the
stream's end or the deadline, decides once: what comes after that changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from service.agent.scope import Scope
from service.providers.provider import Delta, Finish, ProviderError


class Clock(Protocol):
    """Time that only goes on."""

    def monotonic(self) -> float:
        """Seconds since whenever."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class LoopClock:
    """That of the event loop."""

    def monotonic(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """With a model that says nothing."""

    startup_s: float = 60.0
    """Until the vendor begins to answer, if only with headers."""
    silence_s: float = 600.0
    """Between two signs; models that think aloud to nobody take minutes."""


async def listen(
    deltas: AsyncGenerator[Delta, None],
    take: Callable[[Delta], None],
    *,
    patience: Patience,
    clock: Clock,
) -> None:
    """Hand over every delta until the stream ends, and close it.

    Raises what the stream does, and ProviderError when it was silent for too long.
    """
    scope = Scope()
    silence = _Silence(scope, patience, clock)
    watcher = asyncio.create_task(silence.watch(), name="silence")
    try:
        async with scope, aclosing(deltas):
            async for delta in deltas:
                if silence.over:
                    break
                silence.heard()
                take(delta)
                if isinstance(delta, Finish):
                    # nothing follows, however long the connection stays open
                    break
            silence.end()
    except Exception as error:
        silence.end()
        if silence.expired:
            # however a cancelled stream puts it
            raise silence.error() from error
        raise
    finally:
        watcher.cancel()
    if silence.expired:
        raise silence.error()


class _Silence:
    """The deadline of one attempt."""

    def __init__(self, scope: Scope, patience: Patience, clock: Clock) -> None:
        self._scope = scope
        self._clock = clock
        self._silence_s = patience.silence_s
        self._limit_s = patience.startup_s
        self._begun = False
        self._deadline = clock.monotonic() + patience.startup_s
        self.over = False
        """It is decided who was first."""
        self.expired = False
        """The deadline was."""

    def heard(self) -> None:
        self._begun, self._limit_s = True, self._silence_s
        self._deadline = self._clock.monotonic() + self._silence_s

    def end(self) -> None:
        self.over = True

    async def watch(self) -> None:
        while (left := self._deadline - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        if not self.over:
            self.over = self.expired = True
            self._scope.stop()

    def error(self) -> ProviderError:
        what = "said nothing more" if self._begun else "did not begin to answer"
        return ProviderError(
            kind="stream_silence_timeout",
            message=f"the model {what} within {self._limit_s:g} s",
            retryable=True,
        )
