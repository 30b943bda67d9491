"""parley follow: print what an agent says, while it says it."""

from __future__ import annotations

import sys
from typing import Annotated
from uuid import UUID

import typer

from service.cli.options import (
    DEFAULT_URL,
    AsJson,
    Token,
    Url,
    need_token,
    print_json,
    run,
)
from service.cli.screen import Screen
from service.client.client import Client


def follow(
    chat_id: Annotated[UUID, typer.Argument(help="A chat.", show_default=False)],
    after: Annotated[
        str | None,
        typer.Option(help="Id of the last frame seen, 0 or now.", show_default=False),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print a chat as it goes on.

    Comes back by itself, where it was, when the connection drops. With --json each
    frame is a line: its id, its name, its data.
    """
    run(_follow(Client(url, need_token(token)), chat_id, after, as_json=as_json))


async def _follow(
    client: Client, chat_id: UUID, after: str | None, *, as_json: bool
) -> None:
    screen = Screen(sys.stdout)
    async with client:
        async for frame in client.follow(chat_id, after=after):
            if as_json:
                print_json({"id": frame.id, "event": frame.name, "data": frame.data})
            else:
                screen.show(frame)
