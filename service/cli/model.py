"""parley model: the models that chats may use, their limits and their prices."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import typer
from pydantic import JsonValue
from rich.table import Column, Table

from service import wire
from service.cli.database import change_platform, with_database
from service.cli.model_options import (
    ContextLimit,
    Effort,
    MaxEffort,
    MaxOutput,
    Model,
    Name,
    Options,
    PriceCacheRead,
    PriceCacheWrite,
    PriceInput,
    PriceOutput,
    Temperature,
    Threshold,
    emptied,
    given,
    parsed,
)
from service.cli.options import AsJson, DataDir, print_json, print_line
from service.cli.provider_rows import (
    UUID_CHARS,
    find_model,
    find_provider,
    model_json,
    usable,
)
from service.cli.screen import printable
from service.cli.timeline import new_console
from service.db.pool import Connection
from service.errors import SetupError
from service.platform.model_configs import (
    delete_model_config,
    insert_model_config,
    list_model_configs,
    update_model_config,
)
from service.platform.providers import list_providers
from service.platform.stored_settings import (
    MODEL_OVERRIDES,
    delete_setting,
    list_settings,
    update_setting,
)
from service.providers.models import DEFAULT_THRESHOLD

Purpose = Literal["title", "compaction"]
"""Of MODEL_OVERRIDES."""

app = typer.Typer(
    help="Models that chats may use: their limits and their prices.",
    no_args_is_help=True,
)


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all models; `*` marks the default."""

    async def read(connection: Connection) -> list[dict[str, Any]]:
        providers = {row.id: row for row in await list_providers(connection)}
        return [
            model_json(row, providers.get(row.provider_id))
            for row in await list_model_configs(connection)
        ]

    rows = with_database(read, data_dir, name="platform")
    if as_json:
        print_json(rows)
        return
    table = Table(
        Column("model", min_width=UUID_CHARS),
        *(
            Column(n, no_wrap=True)
            for n in ("context", "shorten", "in/out $", "usable")
        ),
    )
    for row in rows:
        prices = (row["price_input"], row["price_output"])
        table.add_row(
            f"{row['id']}\n{_named(row)}",
            f"{row['context_limit']:,}",
            f"{row['compaction_threshold']} %",
            "/".join(price or "-" for price in prices) if any(prices) else "",
            "yes" if row["usable"] else "no",
        )
    new_console().print(table)


def _named(row: dict[str, Any]) -> str:
    """What people call it, what its provider calls it, and who that is."""
    mark = "* " if row["is_default"] else ""
    name, model = row["display_name"], row["model"]
    called = name if name == model else f"{name} = {model}"
    return printable(f"{mark}{called} at {row['provider'] or '(removed)'}")


@app.command()
def add(
    provider: Annotated[
        str, typer.Argument(help="Who serves it: id or name.", show_default=False)
    ],
    model: Annotated[
        str, typer.Argument(help="Its name there.", show_default=False)
    ],
    context_limit: Annotated[int, ContextLimit],
    name: Name = None,
    threshold: Annotated[int, Threshold] = DEFAULT_THRESHOLD,
    max_output_tokens: MaxOutput = None,
    temperature: Temperature = None,
    reasoning_effort: Effort = None,
    max_reasoning_effort: MaxEffort = None,
    options: Options = None,
    price_input: PriceInput = None,
    price_output: PriceOutput = None,
    price_cache_read: PriceCacheRead = None,
    price_cache_write: PriceCacheWrite = None,
    enabled: Annotated[
        bool,
        typer.Option("--enabled/--disabled", help="Whether chats may use it."),
    ] = True,
    default: Annotated[
        bool, typer.Option("--default", help="Chats that name none use it.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Add a model; the first one becomes the default."""
    columns = given(
        max_output_tokens=max_output_tokens, temperature=temperature,
        reasoning_effort=reasoning_effort, max_reasoning_effort=max_reasoning_effort,
        options=parsed(options), price_input=price_input, price_output=price_output,
        price_cache_read=price_cache_read, price_cache_write=price_cache_write,
    )  # fmt: skip

    async def insert(connection: Connection) -> UUID:
        served_by = await find_provider(connection, provider)
        if default and not (enabled and served_by.enabled):
            raise SetupError("what is switched off cannot be the default")
        return await insert_model_config(
            connection,
            provider_id=served_by.id,
            model=model,
            context_limit=context_limit,
            display_name=name,
            compaction_threshold=threshold,
            enabled=enabled,
            is_default=default,
            **columns,
        )

    _tell(change_platform(insert, data_dir), "added", as_json=as_json)


@app.command()
def update(
    model: Model,
    vendor_name: Annotated[
        str | None,
        typer.Option("--model", help="Its name at the provider.", show_default=False),
    ] = None,
    context_limit: Annotated[int | None, ContextLimit] = None,
    name: Name = None,
    threshold: Annotated[int | None, Threshold] = None,
    max_output_tokens: MaxOutput = None,
    temperature: Temperature = None,
    reasoning_effort: Effort = None,
    max_reasoning_effort: MaxEffort = None,
    options: Options = None,
    price_input: PriceInput = None,
    price_output: PriceOutput = None,
    price_cache_read: PriceCacheRead = None,
    price_cache_write: PriceCacheWrite = None,
    enabled: Annotated[
        bool | None,
        typer.Option("--enabled/--disabled", help="Whether chats may use it.",
                     show_default=False),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="<option>", show_default=False,
                     help="An option to take back, price-input; may be repeated."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change what is given, and nothing else; running turns end as they began."""
    changes = emptied(unset or []) | given(
        model=vendor_name, display_name=name, context_limit=context_limit,
        compaction_threshold=threshold, max_output_tokens=max_output_tokens,
        temperature=temperature, reasoning_effort=reasoning_effort,
        max_reasoning_effort=max_reasoning_effort, options=parsed(options),
        price_input=price_input, price_output=price_output,
        price_cache_read=price_cache_read, price_cache_write=price_cache_write,
        enabled=enabled,
    )  # fmt: skip

    async def change(connection: Connection) -> UUID:
        row = await find_model(connection, model)
        await update_model_config(connection, row.id, **changes)
        return row.id

    _tell(change_platform(change, data_dir), "changed", as_json=as_json)


@app.command()
def remove(model: Model, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Remove a model; chats that use it go on with the default."""

    async def take(connection: Connection) -> UUID:
        row = await find_model(connection, model)
        await delete_model_config(connection, row.id)
        return row.id

    _tell(change_platform(take, data_dir), "removed", as_json=as_json)


@app.command()
def default(model: Model, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a model the default: chats that name none use it."""

    async def choose(connection: Connection) -> UUID:
        row = await find_model(connection, model)
        await update_model_config(connection, row.id, is_default=True)
        after = await find_model(connection, str(row.id))
        if not after.is_default:
            raise SetupError(
                f"{row.display_name!r} is switched off, or its provider is; such a "
                "model cannot be the default"
            )
        return row.id

    _tell(change_platform(choose, data_dir), "the default", as_json=as_json)


@app.command()
def override(
    purpose: Annotated[
        Purpose, typer.Argument(help="What it is asked for.", show_default=False)
    ],
    model: Annotated[
        str | None,
        typer.Argument(help="Its id or name; without, what is set is printed.",
                       show_default=False),
    ] = None,
    reasoning_effort: Effort = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Back to the model of each chat.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Have another model than the chat's own name chats, or sum them up."""
    if model is None and reasoning_effort is not None:
        raise SetupError("--reasoning-effort goes with a model")
    if model is not None and clear:
        raise SetupError("--clear goes without a model")
    key = MODEL_OVERRIDES[purpose]

    async def change(connection: Connection) -> JsonValue:
        if model is not None:
            row = await find_model(connection, model)
            providers = {each.id: each for each in await list_providers(connection)}
            if not usable(row, providers.get(row.provider_id)):
                raise SetupError(f"{row.display_name!r}, or its provider, is off")
            value: dict[str, JsonValue] = {"model_config_id": str(row.id)}
            if reasoning_effort is not None:
                value["reasoning_effort"] = reasoning_effort
            await update_setting(connection, key, value)
        elif clear:
            await delete_setting(connection, key)
        return (await list_settings(connection)).get(key)

    found = change_platform(change, data_dir)
    if as_json:
        print_json(found)
    elif found is None:
        print_line(f"no other model is set for {purpose}: the chat's own is asked")
    else:
        print_line(f"{purpose}: {printable(wire.dumps(found).decode())}")


def _tell(config_id: UUID, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": str(config_id), done.replace("the ", ""): True})
    else:
        print_line(f"model {config_id} is {done}")
