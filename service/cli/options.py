"""What several commands share: settings, options, how to run and to print."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from service import log, wire
from service.db.embedded.folder import default_data_dir
from service.errors import SetupError
from service.settings import PREFIX, Settings

Result = TypeVar("Result")

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the embedded database.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Url = Annotated[str, typer.Option(envvar="PARLEY_URL", help="Where the service is.")]
Token = Annotated[
    str,
    typer.Option(envvar="PARLEY_TOKEN", help="Who you are to it.", show_default=False),
]

DEFAULT_URL = "http://127.0.0.1:8000"


def read_settings(**given: object) -> Settings:
    """Settings from the environment, with those over them that were given."""
    over = {
        f"{PREFIX}{name.upper()}": str(value)
        for name, value in given.items()
        if value is not None
    }
    return Settings.from_env(dict(os.environ) | over)  # noqa: TID251  read here, once


def data_dir_of(settings: Settings) -> Path:
    """The embedded database's folder: as set, else the user's data folder."""
    return settings.data_dir or default_data_dir(os.environ)  # noqa: TID251


def set_up_logs(settings: Settings) -> None:
    """All records go to standard error."""
    log.set_up(level=settings.log_level, format_=settings.log_format, stream=sys.stderr)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def need_token(token: str) -> str:
    """The token, or a SetupError that says where to get one."""
    if not token:
        raise SetupError(
            "a token is needed; set PARLEY_TOKEN, or give --token "
            "(`parley token create` makes one)"
        )
    return token


def print_line(text: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    print_line(wire.dumps(value).decode())
