"""Many followers in one cheap process: raw protocols on uvloop that count frames.

Run as a program. The first line on standard input is JSON: host, port, requests (one
for each follower) and ready. Answers: `ready` when every connection has seen the bytes
`ready`; then `all K` whenever all of them together have K frames each; `closed N` for
each that was closed. Standard input closed: end. A frame counts by its line `data: `.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from scripts.benchmarks.harness import raise_file_limit
from service import wire

AT_ONCE = 100
"""Connections opened together; less than any server's backlog."""
MARK = b"data: "


@dataclass(slots=True)
class Tally:
    """What all followers share."""

    count: int
    ready: int = 0
    frames: int = 0
    full: int = 0
    """Frames that all followers together have, per follower."""

    def opened(self) -> None:
        self.ready += 1
        if self.ready == self.count:
            say("ready")

    def add(self, frames: int) -> None:
        self.frames += frames
        while self.frames >= (self.full + 1) * self.count:
            self.full += 1
            say(f"all {self.full}")


class Follower(asyncio.Protocol):
    """One connection. Before it is ready it looks for a mark, after that it counts."""

    def __init__(self, tally: Tally, request: bytes, ready: bytes) -> None:
        self._tally = tally
        self._request = request
        self._ready: bytes | None = ready
        self._held = b""

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._ready is not None:
            self._look(data, self._ready)
            return
        if self._held:
            data = self._held + data
            self._held = b""
        if not data.endswith(b"\n"):
            # a mark may be cut in two; it never holds a line's end
            self._held = data[-len(MARK) + 1 :]
        self._tally.add(data.count(MARK))

    def _look(self, data: bytes, ready: bytes) -> None:
        self._held += data
        if ready in self._held and self._held.endswith(b"\n"):
            self._ready, self._held = None, b""
            self._tally.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        say(f"closed {exc!r}")


def say(line: str) -> None:
    """One answer."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Open all connections, count until standard input is closed."""
    loop = asyncio.get_running_loop()
    asked = wire.loads(await loop.run_in_executor(None, sys.stdin.readline))
    requests = [request.encode() for request in asked["requests"]]
    tally, ready = Tally(len(requests)), asked["ready"].encode()
    address = (asked["host"], asked["port"])
    for first in range(0, tally.count, AT_ONCE):
        batch = requests[first : first + AT_ONCE]
        await asyncio.gather(
            *(
                loop.create_connection(
                    partial(Follower, tally, request, ready),
                    *address,
                    family=socket.AF_INET,
                )
                for request in batch
            )
        )
        while tally.ready < first + len(batch):  # noqa: ASYNC110 - a storm is not the subject
            await asyncio.sleep(0.005)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
