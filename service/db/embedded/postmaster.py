"""A running postmaster: found by its pid file, held by a pidfd.

A pid may be given to another process between looking and signalling; a pidfd cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

PID_FILE = "postmaster.pid"


@dataclass(frozen=True, slots=True)
class PidFile:
    """What Postgres wrote: lines 1, 4, 5 and 8 of postmaster.pid."""

    pid: int
    port: int
    socket_folder: str
    status: str
    """`starting`, `ready`, `stopping`; empty while the file is being written."""


def read_pid_file(cluster: Path) -> PidFile | None:
    """The pid file, or None when there is none (yet)."""
    try:
        lines = (cluster / PID_FILE).read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    lines += [""] * (8 - len(lines))
    if not lines[0].strip().isdigit() or not lines[3].isdigit():
        return None
    return PidFile(int(lines[0]), int(lines[3]), lines[4], lines[7].strip())


class Postmaster:
    """One postmaster process, ours or an orphan of a service that was killed."""

    def __init__(self, pid: int) -> None:
        """Hold `pid`. Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    @classmethod
    def find(cls, cluster: Path) -> Postmaster | None:
        """The postmaster that works in `cluster`, if one runs.

        A pid file whose process is not that postmaster is removed: Postgres itself
        would refuse to start when the number now belongs to another process.
        """
        written = read_pid_file(cluster)
        if written is None:
            return None
        try:
            found = cls(written.pid)
        except ProcessLookupError:
            return None
        if found.serves(written.socket_folder):
            return found
        found.close()
        (cluster / PID_FILE).unlink(missing_ok=True)
        return None

    def serves(self, socket_folder: str) -> bool:
        """Whether it is a Postgres with that socket folder.

        By its command line, which everybody may read; its working directory may be
        read by root with the right to trace only, which containers do not give.
        """
        try:
            line = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return line[0].endswith(b"/postgres") and os.fsencode(socket_folder) in line

    def alive(self) -> bool:
        """False as soon as the process has ended, also before it is reaped."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return not poll.poll(0)

    async def exited(self) -> None:
        """Return when the process has ended; reaps it when it is our child."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        # a copy, because several may wait and a loop watches a descriptor once
        watched = os.dup(self._fd)
        loop.add_reader(watched, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        self.reap()

    def reap(self) -> None:
        """Take the exit status of a child of ours; an orphan is init's to reap."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    def close(self) -> None:
        """Let the process go; it is not stopped."""
        os.close(self._fd)
