"""The command `parley` as a process beside a Parley of the test kit."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service import wire

PARLEY = Path(sys.executable).with_name("parley")
COMMAND_S = 60.0


@dataclass(frozen=True)
class Ran:
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return wire.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [wire.loads(line) for line in self.out.splitlines()]


async def command(
    environ: dict[str, str],
    *arguments: str,
    stdin: str = "",
    patience_s: float = COMMAND_S,
) -> Ran:
    """Run it to its end; it reads `stdin`."""
    async with started(environ, *arguments) as process:
        async with asyncio.timeout(patience_s):
            out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    assert "Traceback" not in err.decode()
    return Ran(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def started(
    environ: dict[str, str], *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that may go on for ever; it is ended at the latest with the block."""
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), *arguments,
        env=dict(os.environ) | environ,  # noqa: TID251  PATH and HOME
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()
