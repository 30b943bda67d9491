"""parley provider: servers of models, their addresses and their keys."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

import typer
from rich.table import Column, Table

from service.cli.database import change_platform, secrets_of, with_database
from service.cli.options import AsJson, DataDir, print_json, print_line
from service.cli.provider_rows import UUID_CHARS, find_provider, provider_json
from service.cli.screen import printable
from service.cli.timeline import new_console
from service.db.pool import Connection
from service.errors import SetupError
from service.platform.model_configs import list_model_configs
from service.platform.providers import (
    MAX_KEY_BYTES,
    Kind,
    count_models,
    delete_provider,
    insert_provider,
    list_providers,
    replace_key,
    update_provider,
)

app = typer.Typer(
    help="Servers of models: their addresses and their keys.", no_args_is_help=True
)

Provider = Annotated[str, typer.Argument(help="Its id or name.", show_default=False)]
Name = Annotated[
    str | None, typer.Option(help="What people call it.", show_default=False)
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="Where it is; else the vendor's address.", show_default=False),
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        "--api-key-env", metavar="<name>", show_default=False,
        help="Variable of the environment that holds its key.",
    ),
]  # fmt: skip
KeyStdin = Annotated[
    bool,
    typer.Option(
        "--api-key-stdin",
        help="Read its key from standard input; a terminal does not show it.",
    ),
]


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all providers; of a key only whether there is one."""

    async def read(connection: Connection) -> list[dict[str, Any]]:
        models = Counter(
            row.provider_id for row in await list_model_configs(connection)
        )
        return [
            provider_json(row, models[row.id])
            for row in await list_providers(connection)
        ]

    rows = with_database(read, data_dir, name="platform")
    if as_json:
        print_json(rows)
        return
    table = Table(
        Column("provider", min_width=UUID_CHARS),
        *(Column(name, no_wrap=True) for name in ("kind", "key", "enabled", "models")),
    )
    for row in rows:
        table.add_row(
            f"{row['id']}\n{_named(row)}",
            row["kind"],
            "yes" if row["has_api_key"] else "no",
            "yes" if row["enabled"] else "no",
            str(row["models"]),
        )
    new_console().print(table)


def _named(row: dict[str, Any]) -> str:
    """What people call it, and where it is."""
    return printable(f"{row['display_name']} at {row['base_url'] or 'its vendor'}")


@app.command()
def add(
    kind: Annotated[
        Kind, typer.Argument(help="What it speaks.", show_default=False)
    ],
    name: Name = None,
    base_url: BaseUrl = None,
    api_key_env: KeyEnv = None,
    api_key_stdin: KeyStdin = False,
    enabled: Annotated[
        bool,
        typer.Option("--enabled/--disabled", help="Whether its models may be asked."),
    ] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Add a provider. Its key is never an argument: others would see it."""
    if kind == "openai_compat" and base_url is None:
        raise SetupError("openai_compat is a server of your own; give --base-url")
    address = None if base_url is None else _address(base_url)
    sealed = _sealed(_key(api_key_env, from_stdin=api_key_stdin), data_dir)

    async def insert(connection: Connection) -> UUID:
        return await insert_provider(
            connection,
            kind=kind,
            display_name=name or kind,
            base_url=address,
            enabled=enabled,
            api_key_encrypted=sealed,
        )

    _tell(change_platform(insert, data_dir), "added", as_json=as_json)


@app.command()
def update(
    provider: Provider,
    name: Name = None,
    base_url: BaseUrl = None,
    vendor_address: Annotated[
        bool, typer.Option("--no-base-url", help="Back to the vendor's address.")
    ] = False,
    api_key_env: KeyEnv = None,
    api_key_stdin: KeyStdin = False,
    no_api_key: Annotated[
        bool, typer.Option("--no-api-key", help="Forget its key.")
    ] = False,
    enabled: Annotated[
        bool | None,
        typer.Option("--enabled/--disabled", help="Whether its models may be asked.",
                     show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change what is given, and nothing else; running calls end as they began."""
    sealed = _sealed(_key(api_key_env, from_stdin=api_key_stdin), data_dir)
    if no_api_key and sealed is not None:
        raise SetupError("a new key and --no-api-key do not go together")
    changes: dict[str, object] = {}
    if name is not None:
        changes["display_name"] = name
    if base_url is not None or vendor_address:
        changes["base_url"] = None if base_url is None else _address(base_url)
    if sealed is not None or no_api_key:
        changes["api_key_encrypted"] = sealed
    if enabled is not None:
        changes["enabled"] = enabled

    async def change(connection: Connection) -> UUID:
        row = await find_provider(connection, provider)
        await update_provider(connection, row.id, **changes)
        return row.id

    _tell(change_platform(change, data_dir), "changed", as_json=as_json)


@app.command()
def remove(
    provider: Provider, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Remove a provider that has no models any more, and forget its key."""

    async def take(connection: Connection) -> UUID:
        row = await find_provider(connection, provider)
        if models := await count_models(connection, row.id):
            raise SetupError(
                f"{row.display_name!r} still has models ({models}); remove them first "
                "(`parley model remove`), or only switch it off with "
                "`parley provider update --disabled`"
            )
        await delete_provider(connection, row.id)
        return row.id

    _tell(change_platform(take, data_dir), "removed", as_json=as_json)


@app.command("rotate-keys")
def rotate_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Encrypt all stored keys anew with the first key of PARLEY_SECRET_KEY.

    Put a new one before the old one, separated by a comma, restart the service, run
    this; then the old one can go. `openssl rand -base64 32 | tr -- +/ -_` makes one.
    """
    box = secrets_of(data_dir)

    async def rotate(connection: Connection) -> int:
        done = 0
        for row in await list_providers(connection):
            if (old := row.api_key_encrypted) is not None:
                new = box.rotate(old)
                done += await replace_key(connection, row.id, old=old, new=new)
        return done

    count = change_platform(rotate, data_dir)
    if as_json:
        print_json({"rotated": count})
    else:
        print_line(f"{count} stored keys are encrypted with the first secret key")


def _key(variable: str | None, *, from_stdin: bool) -> str | None:
    """The key of a provider from where it was said to be; it is never shown."""
    if variable is not None and from_stdin:
        raise SetupError("give one of --api-key-env and --api-key-stdin")
    if variable is not None:
        given = os.environ.get(variable)  # noqa: TID251  named by the caller
        if given is None:
            raise SetupError(f"the environment has no variable {variable!r}")
    elif not from_stdin:
        return None
    elif sys.stdin.isatty():
        given = str(typer.prompt("API key", hide_input=True, err=True))
    else:
        given = sys.stdin.read(MAX_KEY_BYTES + 2)
    key = given.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SetupError("expected a key: visible ASCII characters on one line")
    if len(key) > MAX_KEY_BYTES:
        raise SetupError(f"a key has {MAX_KEY_BYTES:,} characters at most")
    return key


def _sealed(key: str | None, data_dir: Path | None) -> bytes | None:
    return None if key is None else secrets_of(data_dir).encrypt(key)


def _address(base_url: str) -> str:
    url = urlsplit(base_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise SetupError("--base-url: expected http://host... or https://host...")
    if url.username is not None or url.query or url.fragment:
        raise SetupError("--base-url: expected no user, query or fragment")
    return base_url


def _tell(provider_id: UUID, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": str(provider_id), done: True})
    else:
        print_line(f"provider {provider_id} is {done}")
