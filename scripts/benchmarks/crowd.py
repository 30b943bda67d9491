"""The driver's side of a swarm: many followers in a process of their own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scripts.benchmarks.processes import Child, child, pin
from service import wire

PATIENCE_S = 120.0
SWARM = (sys.executable, "-m", "scripts.benchmarks.swarm")
CLIENTS_CPU = 1
"""The server that is measured has CPU 0."""


@dataclass(slots=True)
class Crowd:
    """Followers of one stream, all connected and ready."""

    size: int
    child: Child
    full: int = 0

    async def reach(self, frames: int) -> None:
        """Wait until the followers have this many frames each, on average."""
        while self.full < frames:
            word, _, number = (
                (await self.child.hear(within_s=PATIENCE_S)).decode().partition(" ")
            )
            if word != "all":
                raise RuntimeError(f"a follower was lost: {word} {number}")
            self.full = int(number)


@asynccontextmanager
async def crowd(
    address: tuple[str, int], requests: Sequence[bytes], *, ready: str
) -> AsyncIterator[Crowd]:
    """Connect a follower for each request; `ready` is what each has to see first."""
    asked = {
        "host": address[0],
        "port": address[1],
        "requests": [request.decode() for request in requests],
        "ready": ready,
    }
    async with child(SWARM) as started:
        pin([started.pid], cpu=CLIENTS_CPU)
        await started.tell(wire.dumps(asked))
        heard = await started.hear(within_s=PATIENCE_S)
        if heard != b"ready":
            raise RuntimeError(f"the followers did not connect: {heard.decode()}")
        yield Crowd(len(requests), started)
