"""parley chat: talk to an agent, and look at chats, over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Column, Table
from rich.text import Text

from service.cli.options import (
    DEFAULT_URL,
    AsJson,
    Token,
    Url,
    need_token,
    print_json,
    print_line,
    run,
)
from service.cli.screen import Screen, printable
from service.cli.talk import talk_to
from service.cli.timeline import new_console
from service.client.client import Client
from service.client.shapes import Chat, ChatPage, Message, MessagePage

PAGE = 200
"""The most messages that a page may have."""

app = typer.Typer()

ChatId = Annotated[UUID, typer.Argument(help="A chat.", show_default=False)]
At = Annotated[
    int | None,
    typer.Option(
        "--at", min=1, help="Version; the newest by default.", show_default=False
    ),
]


@app.callback(invoke_without_command=True)
def talk(
    context: typer.Context,
    chat_id: Annotated[
        UUID | None,
        typer.Option("--chat", help="Go on with this chat.", show_default=False),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Talk to an agent here; with a command, look at chats.

    Ctrl-C interrupts its turn, a second one leaves; so do Ctrl-C between turns and the
    end of input.
    """
    if context.invoked_subcommand is None:
        run(talk_to(Client(url, need_token(token)), chat_id))
        return
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            # it would be read here, and not by the command that it is meant for
            raise typer.BadParameter("give options after the command")


@app.command("list")
def list_chats(
    archived: Annotated[
        bool, typer.Option("--archived", help="Those that are archived.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option(help="With this label; key:value, all of several.",
                     show_default=False),
    ] = None,
    unread: Annotated[
        bool | None,
        typer.Option("--unread/--read", help="With something new, or without.",
                     show_default=False),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Words of the title.", show_default=False)
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Words that were said.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Of the page before.", show_default=False)
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List your chats: pins, then the one that changed last."""

    async def go() -> ChatPage:
        async with Client(url, need_token(token)) as client:
            return await client.chats(
                archived=archived, label=label, has_unread=unread, title=title,
                search=search, limit=limit, cursor=cursor,
            )  # fmt: skip

    page = run(go())
    if as_json:
        print_json(page)
        return
    console = new_console()
    table = Table(
        *(Column(name, no_wrap=True) for name in ("chat", "status", "changed")), "title"
    )
    for chat in page["chats"]:
        _add_row(table, chat)
        for child in chat.get("children", []):
            _add_row(table, child, indent="  ")
    console.print(table)
    if page["next_cursor"]:
        console.print(f"more: --cursor {page['next_cursor']}")


@app.command()
def show(
    chat_id: ChatId,
    at: At = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print a chat: as it is, or as it was at a version.

    A version in the middle of an append stands for the end of that append.
    """

    async def go() -> tuple[Chat, MessagePage]:
        async with Client(url, need_token(token)) as client:
            return await client.get(chat_id, at_version=at), await _whole(
                client, chat_id, at
            )

    chat, page = run(go())
    if as_json:
        print_json({"chat": chat, **page})
        return
    new_console().print(Text(_headline(chat), "bold"))
    screen = Screen(sys.stdout)
    screen.show_messages(page["messages"])
    screen.show_queue(page["queued_messages"])


@app.command()
def fork(
    chat_id: ChatId,
    at: At = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Make a chat that begins as a copy of this one; prints its id."""

    async def go() -> Chat:
        async with Client(url, need_token(token)) as client:
            return await client.fork(chat_id, version=at)

    made = run(go())
    if as_json:
        print_json(made)
    else:
        print_line(made["id"])


@app.command()
def archive(
    chat_ids: Annotated[list[UUID], typer.Argument(help="Chats.", show_default=False)],
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring them back.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:  # fmt: skip
    """Archive chats with their children; one that is refused ends it."""

    async def go() -> None:
        async with Client(url, need_token(token)) as client:
            for chat_id in chat_ids:
                await client.update(chat_id, archived=not undo)
                print_line(str(chat_id))

    run(go())


async def _whole(client: Client, chat_id: UUID, at: int | None) -> MessagePage:
    """All messages, oldest first, and the queue."""
    older: list[Message] = []
    page = newest = await client.messages(chat_id, limit=PAGE, at_version=at)
    while True:
        older += page["messages"]
        if not page["has_more"]:
            break
        page = await client.messages(
            chat_id, limit=PAGE, at_version=at, before_id=older[-1]["id"]
        )
    queued = newest["queued_messages"]
    return {"messages": older[::-1], "queued_messages": queued, "has_more": False}


def _add_row(table: Table, chat: Chat, *, indent: str = "") -> None:
    marks = [
        mark
        for mark, there in (
            (f"#{chat.get('pin_order')}", chat.get("pin_order")),
            ("*", chat.get("has_unread")),
        )
        if there
    ]
    title = " ".join([*marks, printable(chat["title"])])
    table.add_row(indent + chat["id"], chat["status"], chat["updated_at"][:16], title)


def _headline(chat: Mapping[str, Any]) -> str:
    told: Sequence[str] = [
        repr(printable(chat["title"])),
        chat["status"],
        f"version {chat['version']}",
        *(["archived"] if chat["archived"] else []),
    ]
    if error := chat["last_error"]:
        told = [*told, printable(error["message"])]
    return ", ".join(told)
