"""The golden schema: files, migrations and sql/schema.sql say the same."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from service.db.pool import Connection, Database

ROOT = Path(__file__).parents[2]

FIRST_WITH_NEW_VIEWS = 160_000
"""Since PostgreSQL 16 the columns of a view are shown without their table."""


async def test_schema_is_as_written_down(database: Database, admin: Connection) -> None:
    """A difference: run scripts/dump-schema, and review what changes in it."""
    arguments = ["--check", "--database-url", database.dsn]
    arguments += ["--role-prefix", database.role_prefix]
    if admin.info.server_version < FIRST_WITH_NEW_VIEWS:
        arguments.append("--old-server")
    dump = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "scripts" / "dump_schema.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await dump.communicate()
    assert dump.returncode == 0, output.decode()


def test_sql_files_are_ascii_and_narrow() -> None:
    """yoyo reads in the locale's encoding; long lines are comments of objects only."""
    for file in sorted((ROOT / "sql").rglob("*.sql")):
        text = file.read_bytes().decode("ascii")
        assert text.endswith("\n"), file
        assert "\t" not in text, file
        if file.name == "schema.sql":
            continue
        for line in text.splitlines():
            assert len(line) <= 88 or " IS '" in line or line.startswith("  '"), file


def test_repeatable_files_say_who_calls_them() -> None:
    for folder in ("functions", "triggers", "views"):
        for file in sorted((ROOT / "sql" / folder).glob("*.sql")):
            head = file.read_text().partition("CREATE ")[0]
            assert all(w in head for w in ("Called by:", "Locks:", "Errors:")), file
