"""parley threshold: from when on histories are shortened, by user and model."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from service.cli.database import change_platform, user_id_of, with_database
from service.cli.options import AsJson, DataDir, print_json, print_line
from service.cli.provider_rows import UUID_CHARS, find_model
from service.cli.screen import printable
from service.cli.timeline import new_console
from service.db.pool import Connection
from service.errors import SetupError
from service.platform.model_configs import list_model_configs
from service.platform.thresholds import (
    delete_threshold,
    list_thresholds,
    update_threshold,
)
from service.platform.users import FIRST_USER_NAME

app = typer.Typer(
    help="When histories of a user are shortened, per model.",
    no_args_is_help=True,
)

Model = Annotated[
    str, typer.Argument(help="A model: id or name.", show_default=False)
]  # fmt: skip
User = Annotated[str, typer.Option(help="Whose chats.")]


@app.command("list")
def list_(
    user: User = FIRST_USER_NAME, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List every model: what the user set, and what holds without."""

    async def read(connection: Connection) -> list[dict[str, Any]]:
        own = await list_thresholds(connection, await user_id_of(connection, user))
        return [
            {
                "model_config_id": str(row.id),
                "display_name": row.display_name,
                "threshold_percent": own.get(row.id),
                "default_percent": row.compaction_threshold,
            }
            for row in await list_model_configs(connection)
        ]

    rows = with_database(read, data_dir, name="platform")
    if as_json:
        print_json(rows)
        return
    table = Table(
        Column("model", no_wrap=True, min_width=UUID_CHARS), "name", "own", "default"
    )
    for row in rows:
        own = row["threshold_percent"]
        table.add_row(
            row["model_config_id"],
            printable(row["display_name"]),
            "" if own is None else f"{own} %",
            f"{row['default_percent']} %",
        )
    new_console().print(table)


@app.command("set")
def set_(
    model: Model,
    percent: Annotated[
        int,
        typer.Argument(min=0, max=100, show_default=False,
                       help="Of the context; 100: never by itself."),
    ],
    user: User = FIRST_USER_NAME,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Have histories shortened when a prompt takes so much of the context."""

    async def change(connection: Connection) -> str:
        row = await find_model(connection, model)
        if not row.enabled:
            raise SetupError(f"{row.display_name!r} is switched off")
        user_id = await user_id_of(connection, user)
        await update_threshold(connection, user_id, row.id, percent=percent)
        return str(row.id)

    config_id = change_platform(change, data_dir)
    if as_json:
        print_json({"model_config_id": config_id, "threshold_percent": percent})
    else:
        print_line(f"histories are shortened at {percent} % with model {config_id}")


@app.command()
def clear(
    model: Model,
    user: User = FIRST_USER_NAME,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back to what the model has for everybody."""

    async def change(connection: Connection) -> tuple[str, bool]:
        row = await find_model(connection, model)
        user_id = await user_id_of(connection, user)
        return str(row.id), await delete_threshold(connection, user_id, row.id)

    config_id, cleared = change_platform(change, data_dir)
    if as_json:
        print_json({"model_config_id": config_id, "cleared": cleared})
    else:
        print_line(f"model {config_id} has its default threshold")
