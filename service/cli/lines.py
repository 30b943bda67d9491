"""Lines from standard input, without holding up the event loop.

A daemon thread reads the descriptor itself: it dies with the process, while a thread
that holds the lock of `sys.stdin` would keep the interpreter from ending.
"""

from __future__ import annotations

import asyncio
import os
import threading

CHUNK = 64 * 1024


class Lines:
    """Reads from `start` on; `next` gives None at the end of input."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def next(self) -> str | None:
        """The next line that is not blank, without its end."""
        while (line := await self._lines.get()) is not None:
            if line.strip():
                return line.strip()
        return None

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._descriptor, CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._tell(line.decode(errors="replace"))
        if rest:
            self._tell(rest.decode(errors="replace"))
        self._tell(None)

    def _tell(self, line: str | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
