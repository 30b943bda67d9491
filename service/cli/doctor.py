"""parley doctor: is everything there that Parley needs, and how is it doing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import typer
from rich.console import Console
from rich.text import Text

from service.cli.checks.check import Check, Patient, State
from service.cli.checks.database import OF_DATABASE
from service.cli.checks.host import data_folder, packages, running_service
from service.cli.options import (
    DEFAULT_URL,
    AsJson,
    DataDir,
    Url,
    data_dir_of,
    print_json,
    read_settings,
    run,
    set_up_logs,
)
from service.cli.timeline import new_console
from service.clock import utc_now
from service.db.pool import connect
from service.db.source import open_database
from service.errors import SetupError
from service.settings import Settings

SICK = 1
"""Exit code when a check failed; warnings leave it at 0."""

STYLES: dict[State, str] = {
    "ok": "bold green",
    "warn": "bold yellow",
    "fail": "bold red",
}


def doctor(
    data_dir: DataDir = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Check what Parley needs: ok, warn or fail, and the remedy.

    Looks at the database of the settings, also beside a running service, and changes
    nothing. Exit code 1: something failed.
    """
    settings = read_settings(data_dir=data_dir)
    set_up_logs(settings)
    console = None if as_json else new_console()
    checks = run(_examine(settings, data_dir_of(settings), url, console))
    counts = {state: sum(c.state == state for c in checks) for state in STYLES}
    if console is None:
        told = [check._asdict() for check in checks]
        healthy = not counts["fail"]
        print_json({"healthy": healthy, "counts": counts, "checks": told})
    else:
        summary = ", ".join(f"{number} {state}" for state, number in counts.items())
        console.print(Text(summary, "bold"))
    if counts["fail"]:
        raise typer.Exit(SICK)


async def _examine(
    settings: Settings, data_dir: Path, url: str, console: Console | None
) -> list[Check]:
    """All checks in order; a person sees each when it is done."""
    checks = []
    async for check in _checks(settings, data_dir, url):
        checks.append(check)
        if console is not None:
            _print(console, check)
    return checks


async def _checks(settings: Settings, data_dir: Path, url: str) -> AsyncIterator[Check]:
    yield packages()
    if settings.database_url is None:
        yield data_folder(data_dir)
    try:
        async with open_database(settings, data_dir, beside_service=True) as databases:
            connection = await connect(databases.main, role=None, name="doctor")
            async with connection:
                patient = Patient(settings, databases, connection, utc_now)
                async for check in _of_database(patient):
                    yield check
    except (psycopg.OperationalError, SetupError) as error:
        remedy = "start the server, or correct PARLEY_DATABASE_URL"
        if settings.database_url is None:
            remedy = "see the log in the data folder"
        yield Check("database", "fail", str(error).strip(), remedy)
    yield await running_service(url)


async def _of_database(patient: Patient) -> AsyncIterator[Check]:
    """Every check, whatever others found: one that breaks has failed."""
    for name, look in OF_DATABASE:
        try:
            yield await look(patient)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            told = str(error).strip().partition("\n")[0]
            yield Check(name, "fail", told, "run `parley migrate`")


def _print(console: Console, check: Check) -> None:
    line = Text().append(f"{check.state:<5}", STYLES[check.state])
    line.append(f"{check.name:<13}", "bold").append(check.told)
    console.print(line)
    if check.remedy is not None:
        console.print(Text(f"{'':<18}-> {check.remedy}", "yellow"))
