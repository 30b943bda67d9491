"""parley migrate: bring the database to the schema of this release."""

from __future__ import annotations

from service.cli.options import (
    AsJson,
    DataDir,
    data_dir_of,
    print_json,
    print_line,
    read_settings,
    run,
    set_up_logs,
)
from service.db import migrate as schema
from service.db.source import open_database
from service.settings import Settings


def migrate(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Bring the schema up to date; does nothing when it is."""
    settings = read_settings(data_dir=data_dir)
    set_up_logs(settings)
    applied = run(_migrate(settings))
    if as_json:
        print_json({"steps": applied})
        return
    for step in applied:
        print_line(step)
    print_line("the schema is current")


async def _migrate(settings: Settings) -> list[str]:
    steps: list[str] = []
    async with open_database(
        settings, data_dir_of(settings), beside_service=True
    ) as databases:
        await schema.migrate(databases.direct, say=steps.append)
    return steps
