"""parley prompt: what new chats are told, and what a user's chats are told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue

from service.cli.database import change_platform, user_id_of, with_database
from service.cli.options import AsJson, DataDir, print_json, print_line
from service.db.pool import Connection
from service.domain.prompt_text import PROMPT_BYTES, sanitised
from service.domain.prompts import CURRENT_PROMPT, DEFAULT_PROMPTS
from service.errors import SetupError
from service.platform.stored_settings import (
    CUSTOM_PROMPT,
    DEPLOYMENT_PROMPT,
    delete_setting,
    delete_user_setting,
    list_settings,
    list_user_settings,
    update_setting,
    update_user_setting,
)

app = typer.Typer(
    help="What new chats are told, and the chats of a user.", no_args_is_help=True
)

User = Annotated[
    str | None,
    typer.Option(help="What the chats of this user are told.", show_default=False),
]


@app.command()
def show(
    user: User = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:  # fmt: skip
    """Print the prompt of the deployment, or of a user."""

    async def read(connection: Connection) -> dict[str, JsonValue]:
        if user is None:
            return await list_settings(connection)
        return await list_user_settings(connection, await user_id_of(connection, user))

    found = with_database(read, data_dir, name="platform")
    stored = found.get(DEPLOYMENT_PROMPT if user is None else CUSTOM_PROMPT)
    text, default = _text_of(stored), _include_default(stored)
    if user is not None:
        told: dict[str, Any] = {"custom_prompt": text}
    else:
        told = {
            "system_prompt": text,
            "include_default_system_prompt": default,
            "default_system_prompt": DEFAULT_PROMPTS[CURRENT_PROMPT],
        }
    if as_json:
        print_json(told)
        return
    if user is None and default:
        print_line(told["default_system_prompt"])
    if text:
        print_line(text)


@app.command("set")
def set_(
    file: Annotated[
        Path | None,
        typer.Argument(help="Where the text is; else standard input.",
                       show_default=False),
    ] = None,
    user: User = None,
    default: Annotated[
        bool | None,
        typer.Option("--with-default/--without-default", show_default=False,
                     help="Whether Parley's own prompt comes before it; as it was, "
                          "at first with."),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Back to what it is by default.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Set the prompt of the deployment, or of a user.

    That of the deployment is for new chats, that of a user holds at once in all of
    theirs. Characters that nobody sees are left out: instructions can hide in them.
    """
    if user is not None and default is not None:
        raise SetupError("Parley's own prompt is for all; leave out --user")
    if clear and (file is not None or default is not None):
        raise SetupError("--clear goes with nothing else than --user")
    text = "" if clear else _read(file)

    async def change(connection: Connection) -> None:
        if user is not None:
            await _set_for(connection, user, text)
        elif clear:
            await delete_setting(connection, DEPLOYMENT_PROMPT)
        else:
            before = (await list_settings(connection)).get(DEPLOYMENT_PROMPT)
            first = _include_default(before) if default is None else default
            value: dict[str, JsonValue] = {"text": text, "include_default": first}
            await update_setting(connection, DEPLOYMENT_PROMPT, value)

    change_platform(change, data_dir)
    size = len(text.encode())
    if as_json:
        print_json({"bytes": size, "cleared": not text})
    else:
        print_line(f"the prompt has {size:,} bytes" if text else "the prompt is empty")


async def _set_for(connection: Connection, user: str, text: str) -> None:
    user_id = await user_id_of(connection, user)
    if text:
        await update_user_setting(
            connection, user_id, CUSTOM_PROMPT, value={"text": text}
        )
    else:
        await delete_user_setting(connection, user_id, CUSTOM_PROMPT)


def _read(file: Path | None) -> str:
    try:
        raw = sys.stdin.buffer.read() if file is None else file.read_bytes()
        text = sanitised(raw.decode())
    except OSError as error:
        raise SetupError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError("a prompt is text in UTF-8") from error
    if "\0" in text:
        raise SetupError("a prompt has no NUL characters")
    if len(text.encode()) > PROMPT_BYTES:
        raise SetupError(f"a prompt has {PROMPT_BYTES:,} bytes at most")
    return text


def _text_of(stored: JsonValue) -> str:
    """What is malformed counts as not set, here as for chats."""
    text = stored.get("text") if isinstance(stored, dict) else None
    return text if isinstance(text, str) else ""


def _include_default(stored: JsonValue) -> bool:
    value = stored.get("include_default") if isinstance(stored, dict) else None
    return value if isinstance(value, bool) else True
