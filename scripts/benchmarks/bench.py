"""What every case is given: the server, how long to measure, where to say progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.benchmarks.database import Server
from scripts.benchmarks.quiet import Quiet


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark."""

    server: Server
    quick: bool
    say: Callable[[str], None]
    machine: dict[str, Any]
    quiet: Quiet

    @property
    def rounds(self) -> int:
        """Rounds of which the median is taken."""
        return 3 if self.quick else 7

    @property
    def seconds(self) -> float:
        """How long one scheme is measured in one round."""
        return 0.5 if self.quick else 2.0

    def scaled(self, count: int) -> int:
        """A number of events, chats or frames; a tenth of it in a quick run."""
        return max(1, count // 10) if self.quick else count

    @property
    def facts(self) -> dict[str, Any]:
        """What stands in the details of every result."""
        machine = {**self.machine, "others_cpus": self.quiet.typical}
        return {"server": self.server.durability, "machine": machine}
