"""parley serve: run the service until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

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
from service.domain.ids import UserId, derive_chat_id
from service.errors import SetupError
from service.platform.users import FIRST_USER
from service.settings import ALL_ROLES, Role, Settings

if TYPE_CHECKING:
    from service.app import Started

HELLO = "hello"
"""Idempotency key of the suggested first chat: so its id is known beforehand."""

FORCED = 130

FILES = 65_536
"""Open files at most: every stream is one. Usual soft limits, 256 to 1,024, are meant
for programs that use select; what is beyond them is refused without a word."""


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; 0: any free one.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    roles: Annotated[
        str, typer.Option(help="What this process does, separated by commas.")
    ] = "api,worker,projector",
    migrate: Annotated[
        bool, typer.Option(help="Bring the schema up to date first.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Run the service.

    Without PARLEY_DATABASE_URL it brings a PostgreSQL of its own along. With --json
    standard output gets one line, when the service is ready: url, token, database_url.
    """
    settings = read_settings(host=host, port=port, data_dir=data_dir)
    set_up_logs(settings)
    raise_file_limit()
    run(_serve(settings, _roles(roles), migrate_first=migrate, as_json=as_json))


def raise_file_limit() -> None:
    """Take what the system allows this process, up to FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # some systems have a lower limit than they tell; then ours stays
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    settings: Settings, roles: frozenset[Role], *, migrate_first: bool, as_json: bool
) -> None:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    # half of what there is to import; other commands need none of it
    from service.app import run_service

    await run_service(
        settings,
        data_dir=data_dir_of(settings),
        roles=roles,
        stop=stop,
        on_started=teller(settings, as_json=as_json),
        migrate_first=migrate_first,
    )


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The first one stops in order, the second without waiting, the third at once."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None  # noqa: S101  called from a coroutine
    asked = 0

    def on_signal() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            stop.set()
        elif asked == 2:
            main.cancel()
        else:
            os._exit(FORCED)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)


def _roles(text: str) -> frozenset[Role]:
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = names - ALL_ROLES
    if unknown or not names:
        known = ", ".join(sorted(ALL_ROLES))
        raise SetupError(f"unknown roles {sorted(unknown)}; choose from {known}")
    return frozenset(role for role in ALL_ROLES if role in names)


def teller(settings: Settings, *, as_json: bool) -> Callable[[Started], None]:
    """Who says that the service runs, and how to begin.

    Nobody where logs are JSON, as in the image: there standard output is kept as a log,
    too, and a token does not belong in one.
    """
    if as_json:
        return _tell_json
    if settings.log_format == "json":
        return _tell_nothing
    return partial(_tell, show_database=settings.database_url is None)


def _tell_nothing(_: Started) -> None:
    """The log says `service started`."""


def _tell_json(started: Started) -> None:
    print_json(
        {
            "url": started.url,
            "token": started.token,
            "database_url": started.database_url,
        }
    )


def _tell(started: Started, *, show_database: bool) -> None:
    """Lines for a person to paste; a database of theirs is not shown, they know it."""
    if started.url is None:
        print_line("Parley runs, without HTTP.")
        return
    chats = f"{started.url}/api/v1/chats"
    bearer = f"-H 'Authorization: Bearer {started.token}'"
    chat_id = derive_chat_id(UserId(FIRST_USER), HELLO)
    said = '{"content": [{"type": "text", "text": "hello"}]}'
    print_line(f"Parley runs at {started.url} with token {started.token}")
    print_line(
        f"create a chat: curl {chats} {bearer} -H 'Idempotency-Key: {HELLO}' "
        f"-H 'Content-Type: application/json' -d '{said}'"
    )
    print_line(f"and follow it: curl -N {chats}/{chat_id}/stream {bearer}")
    if show_database:
        print_line(f"look into the log: psql '{started.database_url}'")
