"""`parley` on the database of a test, with a folder of its own.

In a thread of this process: a process of its own takes a second of processor time to
start, and these tests run a hundred commands. `process` is for what only one can show.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from service.cli.main import app
from service.db.pool import Database
from service.errors import ParleyError
from service.platform.secrets import new_key
from tests.e2e.commands import Ran, command


@dataclass
class Operator:
    """Somebody who runs commands."""

    database: Database
    data_dir: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environ = {
            "PARLEY_DATABASE_URL": self.database.dsn,
            "PARLEY_ROLE_PREFIX": self.database.role_prefix,
            "PARLEY_DATA_DIR": str(self.data_dir),
            "PARLEY_SECRET_KEY": new_key(),
            "COLUMNS": "200",
            **self.environ,
        }

    async def run(self, *arguments: str, stdin: str | bytes = "") -> Ran:
        """Run one to its end."""
        return await asyncio.to_thread(self._invoke, arguments, stdin)

    async def process(self, *arguments: str, stdin: str = "") -> Ran:
        """The same in a process of its own."""
        return await command(self.environ, *arguments, stdin=stdin)

    def _invoke(self, arguments: tuple[str, ...], stdin: str | bytes) -> Ran:
        with logs_as_they_were():
            result = CliRunner(env=self.environ).invoke(app, arguments, input=stdin)
        if isinstance(result.exception, ParleyError):
            return Ran(1, result.stdout, f"{result.stderr}parley: {result.exception}\n")
        if result.exception is not None and result.exit_code == 1:
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    async def does(self, *arguments: str, stdin: str = "") -> Any:
        """What one that goes well says, as JSON."""
        ran = await self.run(*arguments, "--json", stdin=stdin)
        assert ran.code == 0, ran.err
        return ran.json

    async def fails(self, *arguments: str, stdin: str = "") -> str:
        """Why one that cannot go well did not."""
        ran = await self.run(*arguments, stdin=stdin)
        assert (ran.code, ran.out) == (1, "")
        return ran.err


@contextmanager
def logs_as_they_were() -> Iterator[None]:
    """A command sends all records of its process to its own standard error."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
