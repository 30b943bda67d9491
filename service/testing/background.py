"""An event loop in a thread, for what must outlive the event loops of tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


class Background:
    """A context manager; what was entered there is left, in reverse, at its end."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._main, name="parley", daemon=True)
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._entered = AsyncExitStack()

    def __enter__(self) -> Background:
        self._thread.start()
        self._loop, self._stop = self._ready.result()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self._entered.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run it there and wait for its result. Blocks the calling thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def enter(self, manager: AbstractAsyncContextManager[Result]) -> Result:
        """Enter it there, until the end."""
        return self.run(self._entered.enter_async_context(manager))

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        stop = asyncio.Event()
        self._ready.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
