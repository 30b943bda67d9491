"""Work that somebody else can stop, told apart from the task's own cancellation."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Scope:
    """`async with`: `stop` cancels the block, which then ends without an error.

    A cancellation from outside still rises. `stopped` says afterwards which it was.
    """

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(None)
        self._entered = False
        self._stop_asked = False
        self.stopped = False
        """The block was cut short by `stop`."""

    def stop(self) -> None:
        """Cancel the block at its next await; also before it has begun."""
        if self._stop_asked:
            return
        self._stop_asked = True
        if self._entered:
            self._timeout.reschedule(0.0)

    async def __aenter__(self) -> Scope:
        await self._timeout.__aenter__()
        self._entered = True
        if self._stop_asked:
            self._timeout.reschedule(0.0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._entered = False
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            self.stopped = True
        return self.stopped
