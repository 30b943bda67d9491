"""`parley`: one command, a file for each group of subcommands."""

from __future__ import annotations

import asyncio
import sys
from typing import NoReturn

import psycopg
import typer

from service.cli import (
    chat,
    cost,
    doctor,
    events,
    follow,
    migrate,
    model,
    projections,
    prompt,
    provider,
    scaletest,
    serve,
    threshold,
    token,
)
from service.errors import ParleyError

app = typer.Typer(
    name="parley",
    help="Parley: an event-sourced service for agent chats on Postgres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(serve.serve)
app.command("migrate")(migrate.migrate)
app.command("doctor")(doctor.doctor)
app.add_typer(token.app, name="token")
app.add_typer(provider.app, name="provider")
app.add_typer(model.app, name="model")
app.add_typer(prompt.app, name="prompt")
app.add_typer(threshold.app, name="threshold")
app.add_typer(projections.app, name="projections")
app.add_typer(events.app, name="events")
app.command("follow")(follow.follow)
app.add_typer(chat.app, name="chat")
chat.app.command("cost")(cost.chat_cost)
app.command("cost")(cost.cost)
app.command("scaletest")(scaletest.scaletest)


def main() -> None:
    """Run; what a person can mend is one line on standard error and exit code 1."""
    try:
        app()
    except ParleyError as error:
        _fail(str(error))
    except psycopg.OperationalError as error:
        _fail(f"cannot reach the database: {str(error).strip()}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def _fail(why: str) -> NoReturn:
    sys.stderr.write(f"parley: {why}\n")
    sys.exit(1)
