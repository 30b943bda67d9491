"""Read your writes: `Parley-Version` on answers, `Parley-Min-Version` on requests.

A client that sends back the version that it was told finds its own write in the next
read, on any replica: the read waits until the read models that it shows have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from starlette.requests import Request

from service.api.context import context_of, may_read, note
from service.api.problems import invalid
from service.auth.policy import Subject
from service.errors import FieldError, Rejection
from service.readmodels.progress import Target, newest_position, position_of

VERSION = "Parley-Version"
MIN_VERSION = "Parley-Min-Version"
STALE = "Parley-Stale"
PREFER = "Prefer"

_TEXT = re.compile(r"([0-9a-fA-F-]{36}):([0-9]{1,10})")
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*(?:=|,|;|$)", re.IGNORECASE)


def version_header(chat_id: UUID, version: int) -> dict[str, str]:
    """The header of an answer that shows a chat at this version, or later."""
    return {VERSION: f"{chat_id}:{version}"}


async def wait_for_version(
    request: Request, subject: Subject, names: Sequence[str]
) -> Mapping[str, str]:
    """Wait until these read models have what the request has seen; headers to answer.

    Raises Rejection: `invalid-request` for a malformed version, `unknown-version` for
    one that the caller cannot have seen, `read-model-behind` for `Prefer: wait`.
    """
    target = await _target(request, subject)
    if target is None:
        return {}
    missing = await context_of(request).feeds.progress.wait(names, target)
    if not missing:
        return {}
    note(request, stale=",".join(missing))
    if _WAIT.search(request.headers.get(PREFER, "")):
        raise Rejection(
            "read-model-behind", f"{', '.join(missing)}: not there yet; try again"
        )
    return {STALE: ", ".join(missing)}


async def wait_for_head(
    request: Request, chat_id: UUID, names: Sequence[str]
) -> Mapping[str, str]:
    """Wait until these read models have all that is committed; headers to answer.

    What the request goes on with may be old all the same, and the answer says so.
    """
    context = context_of(request)
    async with context.pool.connection() as connection:
        head = await newest_position(connection)
    missing = await context.feeds.progress.wait(names, Target(chat_id, 1, head))
    if not missing:
        return {}
    note(request, stale=",".join(missing))
    return {STALE: ", ".join(missing)}


async def _target(request: Request, subject: Subject) -> Target | None:
    text = request.headers.get(MIN_VERSION)
    if text is None:
        return None
    chat_id, version = _parse(text)
    context = context_of(request)
    loaded = await context.chats.load(chat_id)
    if not may_read(subject, loaded) or version > loaded.version:
        raise Rejection("unknown-version", f"{MIN_VERSION} names what no answer said")
    if version == 0:
        return None
    async with context.pool.connection() as connection:
        position = await position_of(connection, chat_id, version)
    return Target(chat_id, version, position)


def _parse(text: str) -> tuple[UUID, int]:
    match = _TEXT.fullmatch(text.strip())
    try:
        if match is not None:
            return UUID(match[1]), int(match[2])
    except ValueError:
        pass
    raise invalid(FieldError(MIN_VERSION, "is not <chat>:<version>"))
