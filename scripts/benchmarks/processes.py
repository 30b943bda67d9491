"""Child processes: started, measured by /proc, and ended by their own pid."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts.benchmarks.harness import TICK_S

STOP_S = 20.0
"""A service that drains takes up to ten seconds; after this it is killed."""
SAID_BYTES = 2_000
"""Of a child's standard error, when it ends by itself."""


@dataclass(slots=True)
class Child:
    """A process that we started; its lines on standard output are its answers."""

    process: asyncio.subprocess.Process
    stderr: IO[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    async def tell(self, line: bytes) -> None:
        """Write a line to its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.write(line + b"\n")
            await self.process.stdin.drain()

    async def hear(self, *, within_s: float) -> bytes:
        """Its next line; RuntimeError with what it said when it ended or is silent."""
        out = self.process.stdout
        try:
            async with asyncio.timeout(within_s):
                line = await out.readline() if out is not None else b""
        except TimeoutError:
            raise RuntimeError(f"no answer in {within_s} s: {self.said()}") from None
        if not line:
            raise RuntimeError(f"it ended: {self.said()}")
        return line.rstrip()

    def said(self) -> str:
        """The end of its standard error."""
        self.stderr.seek(0, os.SEEK_END)
        self.stderr.seek(max(0, self.stderr.tell() - SAID_BYTES))
        return self.stderr.read().decode(errors="replace")


@asynccontextmanager
async def child(
    argv: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Run a program; at the end SIGTERM, and SIGKILL when that does not help."""
    inherited = dict(os.environ)  # noqa: TID251 - handed to the child, not read
    with tempfile.TemporaryFile() as stderr:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**inherited, **(environment or {})},
        )
        try:
            yield Child(process, stderr)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes, all threads; 10 ms fine."""
    total = 0
    for pid in pids:
        # the name in parentheses may hold blanks; what follows it does not
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def rss_bytes(pids: Iterable[int]) -> int:
    """Resident memory of these processes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in pids
    )


def pin(pids: Iterable[int], *, cpu: int) -> None:
    """Keep processes on one CPU, all their threads; nothing on a machine with one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {available[cpu % len(available)]})
