"""Events as lines of JSON in a file that can be continued.

A line says where its event is (stream and version), so the last whole line of a file is
the place to go on from; a line that was cut is written anew.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from service import wire
from service.cli.logs import position_of
from service.db.pool import Connection
from service.errors import SetupError
from service.eventstore.public import public_event
from service.eventstore.records import RecordedEvent, StreamName
from service.eventstore.store import read_log

BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where lines go."""

    out: BinaryIO
    last_line: bytes | None = None
    """The last whole line that is there already."""
    end: int | None = None
    """Where that line ends; None for what cannot be continued."""

    def cut(self) -> None:
        """Drop what follows the last whole line, and stand there."""
        if self.end is not None:
            self.out.truncate(self.end)
            self.out.seek(self.end)


def open_target(path: Path | None, closing: ExitStack, *, resume: bool) -> Target:
    """The file, as it is; None: standard output.

    Raises SetupError for a file that is there already, unless it is to be continued.
    """
    if path is None:
        if resume:
            raise SetupError("--resume needs a file to go on with")
        return Target(sys.stdout.buffer)
    there = path.is_file() and path.stat().st_size > 0
    if there and not resume:
        raise SetupError(f"{path} is there already; go on with it by --resume")
    try:
        file = closing.enter_context(path.open("r+b" if there else "wb"))
    except OSError as error:
        raise SetupError(f"cannot write to {path}: {error.strerror}") from error
    return Target(file, *last_line(file)) if there else Target(file)


def line_of(event: RecordedEvent) -> bytes:
    """The event's line."""
    return wire.dumps(public_event(event)) + b"\n"


def last_line(file: BinaryIO) -> tuple[bytes | None, int]:
    """The last whole line, if any, and where it ends; a cut one may follow."""
    start = file.seek(0, os.SEEK_END)
    tail = b""
    # back to the line end before the last one
    while start > 0 and tail.count(b"\n") < 2:
        step = min(BLOCK, start)
        start -= step
        file.seek(start)
        tail = file.read(step) + tail
    whole, found, _ = tail.rpartition(b"\n")
    line = whole.rpartition(b"\n")[2] if found else None
    return line, start + len(whole) + len(found)


async def place_in(connection: Connection, path: Path, line: bytes) -> int:
    """The position of the event that a line shows.

    Raises SetupError when the log has not this event: the file is of another one.
    """
    try:
        shown: dict[str, Any] = wire.loads(line)
        stream = StreamName(shown["category"], UUID(shown["stream_id"]))
        version = int(shown["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{path} does not end with an exported event") from error
    position = await position_of(connection, stream, version)
    if position is not None:
        event = next(iter(await read_log(connection, position - 1, 1)))
        # an erased event keeps its place and its time
        if public_event(event)["recorded_at"] == shown.get("recorded_at"):
            return position
    raise SetupError(
        f"{path} ends with version {version} of {stream}, which this log does not "
        "have; it is an export of another log"
    )
