"""parley token: make, list and revoke the tokens that clients come in with."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Column, Table

from service.auth.bearer import hash_token, new_token
from service.auth.policy import EVERY_SCOPE, SCOPES, Scope
from service.cli.database import user_id_of, with_database
from service.cli.options import AsJson, DataDir, print_json, print_line
from service.clock import utc_now
from service.db.pool import Connection
from service.domain.times import rfc3339
from service.errors import SetupError
from service.platform.tokens import (
    ListedToken,
    insert_token,
    list_tokens,
    revoke_token,
)
from service.platform.users import FIRST_USER_NAME

UUID_CHARS = 36
"""An id is shown whole, whatever the width: `revoke` takes no other."""

DAY_CHARS = 10
"""Of a time, its day: 2026-11-25."""

app = typer.Typer(help="Tokens that clients come in with.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What it is for.")] = "cli",
    user: Annotated[str, typer.Option(help="Whose it is.")] = FIRST_USER_NAME,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: chat (the default), audit; may be repeated.",
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(
            min=1, help="Days until it expires; for ever by default.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a token and print it; it is kept nowhere, so this is the only time."""
    token, scopes = new_token(), _scopes(scope)
    expires_at = None if days is None else utc_now() + timedelta(days=days)

    async def insert(connection: Connection) -> UUID:
        return await insert_token(
            connection,
            token_hash=hash_token(token),
            user_id=await user_id_of(connection, user),
            name=name,
            scopes=scopes,
            expires_at=expires_at,
        )

    token_id = with_database(insert, data_dir, name="token")
    if as_json:
        print_json({"id": token_id, "token": token})
    else:
        print_line(token)


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all tokens, without their secrets."""
    found = with_database(list_tokens, data_dir, name="token")
    if as_json:
        print_json([_plain(token) for token in found])
        return
    rows = [_plain(token) for token in found]
    ends = [
        end for end in ("expires_at", "revoked_at") if any(row[end] for row in rows)
    ]
    days = ["created_at", *ends]
    table = Table(
        Column("id", no_wrap=True, min_width=UUID_CHARS), "user", "name", "scopes",
        *(Column(day.removesuffix("_at"), overflow="fold") for day in days),
    )  # fmt: skip
    for row, token in zip(rows, found, strict=True):
        table.add_row(
            *(str(row[key]) for key in ("id", "user", "name")),
            " ".join(token.scopes),
            *(str(row[day] or "")[:DAY_CHARS] for day in days),
        )
    Console().print(table)


@app.command()
def revoke(
    token_id: Annotated[UUID, typer.Argument(help="Its id.", show_default=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let nobody in with this token any more (within five seconds)."""

    async def end(connection: Connection) -> bool:
        return await revoke_token(connection, token_id, at=utc_now())

    if not with_database(end, data_dir, name="token"):
        raise SetupError(f"there is no token {token_id} that is not revoked yet")
    if as_json:
        print_json({"id": token_id, "revoked": True})
    else:
        print_line(f"token {token_id} is revoked")


def _scopes(given: list[str] | None) -> tuple[Scope, ...]:
    if not given:
        return SCOPES
    if unknown := sorted(set(given) - set(EVERY_SCOPE)):
        known = ", ".join(EVERY_SCOPE)
        raise SetupError(f"there is no scope {unknown[0]!r}; expected one of {known}")
    return tuple(scope for scope in EVERY_SCOPE if scope in given)


def _plain(token: ListedToken) -> dict[str, object]:
    times = {
        name: at and rfc3339(at)
        for name, at in (
            ("created_at", token.created_at),
            ("expires_at", token.expires_at),
            ("revoked_at", token.revoked_at),
        )
    }
    return {
        "id": str(token.id),
        "user": token.user,
        "name": token.name,
        "scopes": token.scopes,
        **times,
    }
