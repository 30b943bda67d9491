"""Waiting for the machine to be ours: what others compute would be in our figures.

The benchmark does nothing while it looks, so whatever is busy then is somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from scripts.benchmarks.harness import TICK_S, median

LOOK_S = 1.0
QUIET_CPUS = 0.25
"""CPUs that others may use: below it a comparison of rounds is steady."""


@dataclass(slots=True)
class Quiet:
    """Waits before rounds, at most `patience_s` in all; then goes on, and tells."""

    patience_s: float
    say: Callable[[str], None]
    found: list[float] = field(default_factory=list)
    """CPUs that were busy before each round."""

    async def wait(self) -> None:
        """Look until the machine is quiet, or patience is at its end."""
        waited = False
        while (busy := await busy_cpus(LOOK_S)) > QUIET_CPUS and self.patience_s > 0:
            if not waited:
                self.say(f"waiting: others use {busy:.1f} CPUs")
            waited = True
            self.patience_s -= LOOK_S
        self.found.append(busy)

    @property
    def typical(self) -> float | None:
        """CPUs that others used before a round of the middle."""
        return median(self.found) if self.found else None


async def busy_cpus(seconds: float) -> float:
    """CPUs that were busy on the whole machine, on average."""
    before, began = _busy_ticks(), perf_counter()
    await asyncio.sleep(seconds)
    return (_busy_ticks() - before) * TICK_S / (perf_counter() - began)


def _busy_ticks() -> int:
    first = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _iowait, irq, soft, *_ = map(int, first[1:])
    return user + nice + system + irq + soft
