"""parley projections: rebuild read models beside the live ones, compare, swap, mend."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from projections import skip as decisions
from projections.diff import diff as compare
from projections.projection import Projection
from projections.rebuild import rebuild as build_version
from projections.registry import find
from projections.skip import parked_streams, retry_stream
from projections.swap import swap as show_version
from projections.versions import Version, active, pick, sweep, versions
from projections.versions import drop as drop_version
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
from service.cli.rebuilding import bar, ended_by_signals
from service.cli.versions import print_diff, print_lag, version_json
from service.db.migrate import schema_state
from service.db.pool import Connection, Database, connect
from service.db.source import open_database
from service.domain.ids import CHAT
from service.errors import SetupError
from service.eventstore.records import StreamName
from service.readmodels.lag import all_versions

Result = TypeVar("Result")

Target = Annotated[
    str, typer.Argument(help="Name of a projection, or module:Name of your own.")
]
Number = Annotated[
    int | None, typer.Option("--version", min=1, help="Version.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]

DIFFERENT = 1
"""Exit code of `diff` when rows differ, as of diff(1)."""

app = typer.Typer(
    help="Read models: how far they are, and replay into new ones.",
    no_args_is_help=True,
)


@app.command()
def lag(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show how far each version of each read model is behind the log."""

    async def look(connection: Connection, _: Database) -> None:
        print_lag(await all_versions(connection), as_json=as_json)

    _with_projector(look, data_dir)


@app.command()
def rebuild(
    target: Target, yes: Yes = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Build the next version from position 1, beside the one in use.

    The one in use is not touched. Ctrl-C takes what was built away again; what a
    killed command left, the next one takes away.
    """
    _build(find(target), "rebuild", yes=yes, data_dir=data_dir, as_json=as_json)


@app.command()
def build(
    target: Target, yes: Yes = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Build a read model for the first time; it is in use when it is complete."""
    _build(find(target), "build", yes=yes, data_dir=data_dir, as_json=as_json)


@app.command()
def diff(
    target: Target,
    version: Number = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare the newest version beside the one in use with it, at one position.

    Exit code 1: rows differ.
    """
    projection = find(target)

    async def go(connection: Connection, _: Database) -> bool:
        new = await pick(connection, projection.name, version)
        old = await active(connection, projection.name)
        found = await compare(connection, projection, old, new)
        print_diff(found, as_json=as_json)
        return found.empty

    if not _with_projector(go, data_dir):
        raise typer.Exit(DIFFERENT)


@app.command()
def swap(
    target: Target,
    version: Number = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let readers see the newest version; the old one goes on until it is dropped."""
    projection = find(target)

    async def go(connection: Connection, database: Database) -> None:
        new = await pick(connection, projection.name, version)
        _confirm(f"let readers see {new}?", yes=yes)
        old = await show_version(connection, database, projection, new)
        if as_json:
            print_json({"active": version_json(new), "old": version_json(old)})
        else:
            print_line(f"readers see {new}; {old} goes on until you drop it")

    _with_projector(go, data_dir)


@app.command()
def retry(
    target: Target,
    chat_id: Annotated[
        UUID | None,
        typer.Argument(help="A chat; all parked ones if none.", show_default=False),
    ] = None,
    version: Number = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Replay parked chats from the log; have a stopped projection try again."""
    projection = find(target)

    async def go(connection: Connection, _: Database) -> None:
        found = await _version(connection, projection, version)
        streams = parked_streams(found)
        if chat_id is not None:
            streams = [s for s in streams if s == StreamName(CHAT, chat_id)]
        if not streams and found.state != "stopped":
            raise SetupError(f"{found} has nothing parked there, and is not stopped")
        _confirm(f"retry {len(streams)} chats of {found}?", yes=yes)
        taken = {
            str(s.stream_id): await retry_stream(
                connection, projection.under(found.version), s
            )
            for s in streams
        }
        resumed = await decisions.resume(connection, found)
        if as_json:
            print_json({"events": taken, "resumed": resumed})
            return
        for stream_id, events in taken.items():
            print_line(f"chat {stream_id} replayed: {events} events")
        if resumed:
            print_line(f"{found} tries again")

    _with_projector(go, data_dir)


@app.command()
def skip(
    target: Target,
    position: Annotated[int, typer.Argument(min=1, help="Of the event in the way.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    version: Number = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Leave out the event that a projection stopped at, for good."""
    projection = find(target)

    async def go(connection: Connection, _: Database) -> None:
        found = await _version(connection, projection, version)
        _confirm(f"leave the event at position {position} out of {found}?", yes=yes)
        await decisions.skip(connection, found, position, reason=reason)
        if as_json:
            print_json({"skipped": position, **version_json(found)})
        else:
            print_line(f"{found} goes on without the event at position {position}")

    _with_projector(go, data_dir)


@app.command()
def drop(
    name: Annotated[str, typer.Argument(help="Name of a read model.")],
    version: Annotated[int, typer.Option(min=1, help="Version; not the one in use.")],
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take away a version that is not in use: its tables and its checkpoint."""

    async def go(connection: Connection, database: Database) -> None:
        found = await pick(connection, name, version)
        _confirm(f"drop {found}?", yes=yes)
        await drop_version(connection, database, found)
        if as_json:
            print_json({"dropped": version_json(found)})
        else:
            print_line(f"{found} is dropped")

    _with_projector(go, data_dir)


def _build(
    projection: Projection,
    how: str,
    *,
    yes: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    async def go(connection: Connection, database: Database) -> None:
        there = await versions(connection, projection.name)
        if how == "build" and there:
            raise SetupError(f"{there[-1]} is there already; `rebuild` builds another")
        _confirm(f"{how} {projection.name} from the whole log?", yes=yes)
        with ended_by_signals(), bar(projection.name, shown=not as_json) as progress:
            built = await build_version(database, projection, progress=progress)
        if as_json:
            print_json(version_json(built))
        elif built.active:
            print_line(f"{built} is built, and in use")
        else:
            print_line(f"{built} is built; compare with `diff`, then `swap`")

    _with_projector(go, data_dir)


async def _version(
    connection: Connection, projection: Projection, number: int | None
) -> Version:
    """The version of that number; by default the one in use."""
    if number is None:
        found = await active(connection, projection.name)
    else:
        found = await pick(connection, projection.name, number)
    if found.definition != projection.made_by:
        raise SetupError(f"{found} is made by another release; use that one")
    return found


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise SetupError(f"{question} give --yes to do it without asking")
    typer.confirm(question, abort=True)


def _with_projector(
    work: Callable[[Connection, Database], Awaitable[Result]], data_dir: Path | None
) -> Result:
    """Run as the projector, after taking away what a killed command left."""
    settings = read_settings(data_dir=data_dir)
    set_up_logs(settings)

    async def go() -> Result:
        async with open_database(
            settings, data_dir_of(settings), beside_service=True
        ) as databases:
            direct = databases.direct
            connection = await connect(direct, role="projector", name="projections")
            async with connection:
                if not (await schema_state(connection)).current:
                    raise SetupError("the schema is not current; run `parley migrate`")
                await sweep(connection, direct)
                return await work(connection, direct)

    return run(go())
