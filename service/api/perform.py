"""Performing a client's command: who, with which key, and what to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from service import wire
from service.api.body import idempotency_key, request_hash
from service.api.context import context_of, load_chat, note, subject_of
from service.api.fields import Body
from service.api.freshness import version_header
from service.auth.policy import Action, Subject
from service.domain.chat.public import public_chat
from service.domain.chat.state import ChatState
from service.domain.commands.chat import ChatCommand, UpdateChat
from service.domain.ids import CHAT
from service.errors import TooMany
from service.eventstore import store
from service.eventstore.fold import Loaded
from service.eventstore.handle import Attribution, Handled
from service.eventstore.records import StreamName
from service.log import correlation_id

CHATS = "/api/v1/chats"
REPLAYED = "Idempotent-Replayed"
"""Header of an answer that repeats an earlier one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asked for, so that its repetition is recognised."""

    path: str
    body: Body
    key: str | None
    method: str = "POST"

    @property
    def hash(self) -> bytes:
        return request_hash(self.method, self.path, self.body)


@dataclass(frozen=True, slots=True)
class Target:
    """A chat that a request wants to change: who asks, with which key, what it is."""

    subject: Subject
    key: str | None
    chat_id: UUID
    loaded: Loaded


async def target_of(request: Request, action: Action) -> Target:
    """The chat in the path, which the caller may do this to. Raises Rejection."""
    subject = await subject_of(request)
    key = idempotency_key(request)
    chat_id, loaded = await load_chat(request, subject, action)
    return Target(subject, key, chat_id, loaded)


async def may_begin(
    request: Request,
    subject: Subject,
    chat_id: UUID,
    *,
    key: str | None,
    state: ChatState | None = None,
) -> None:
    """Whether one more chat of the user may run. Raises TooMany.

    `state` is that of the chat, None of a new one; one that runs goes on running.
    """
    context = context_of(request)
    try:
        await context.limits.turn(context.pool, subject.user_id, state)
    except TooMany:
        # what was accepted once is answered again, however many run by now
        if key is None or not await was_accepted(request, subject, chat_id, key):
            raise


async def turn_may_begin(request: Request, target: Target) -> None:
    """`may_begin` for the chat in the path."""
    await may_begin(
        request,
        target.subject,
        target.chat_id,
        key=target.key,
        state=target.loaded.state,
    )


async def was_accepted(
    request: Request, subject: Subject, chat_id: UUID, key: str
) -> bool:
    """Whether the chat's log has what was asked with this key."""
    stream = StreamName(CHAT, chat_id)
    async with context_of(request).pool.connection() as connection:
        scoped = scoped_key(subject, key)
        return await store.find_request(connection, stream, scoped) is not None


def scoped_key(subject: Subject, key: str) -> str:
    """A client's key in the log: keys of two users never meet."""
    return f"{subject.user_id}:{key}"


async def perform_on(
    request: Request,
    target: Target,
    command: ChatCommand,
    body: Body,
    *,
    where: str = "",
) -> Handled:
    """`perform` for the chat in the path; `where` is what follows it there."""
    path = f"{CHATS}/{target.chat_id}{where}"
    asked = Asked(path, body, target.key, request.method)
    return await perform(request, target.subject, target.chat_id, command, asked=asked)


async def perform(
    request: Request,
    subject: Subject,
    chat_id: UUID,
    command: ChatCommand,
    *,
    asked: Asked,
) -> Handled:
    """Decide and append; a repeated key gives the first outcome. Raises Rejection."""
    chats, caller = context_of(request).chats, attribution(subject, asked)
    if isinstance(command, UpdateChat) and command.archived is not None:
        handled = await chats.execute_family(chat_id, command, **caller)
    else:
        handled = await chats.execute(chat_id, command, **caller)
    return noted(request, chat_id, handled)


def attribution(subject: Subject, asked: Asked) -> Attribution:
    """Whose command it is, and how its repetition is recognised."""
    return {
        "actor": actor(subject),
        "key": None if asked.key is None else scoped_key(subject, asked.key),
        "request_hash": None if asked.key is None else asked.hash,
        "correlation_id": correlation_id(),
    }


def noted(request: Request, chat_id: UUID, handled: Handled) -> Handled:
    """The same; the request's log record tells what became of it."""
    note(
        request,
        chat_id=str(chat_id),
        outcome=handled.outcome,
        events=len(handled.events),
    )
    return handled


async def state_after(request: Request, chat_id: UUID, handled: Handled) -> ChatState:
    """The chat right after this request's events; a replay's may lie in the past."""
    return await state_at(request, chat_id, last_version(handled), handled.loaded)


async def state_before(request: Request, target: Target, handled: Handled) -> ChatState:
    """The chat right before this request's events; there must be some."""
    version = handled.events[0][0] - 1
    return await state_at(request, target.chat_id, version, target.loaded)


async def state_at(
    request: Request, chat_id: UUID, version: int, known: Loaded
) -> ChatState:
    """The chat at an append border; read from the log unless it is the known one."""
    if version == known.version:
        return known.state
    return (await context_of(request).chats.load_at(chat_id, version)).state


def last_version(handled: Handled) -> int:
    """The version of the chat that the answer to this request is about."""
    return handled.events[-1][0] if handled.events else handled.loaded.version


def actor(subject: Subject) -> str:
    """How a user is named in event metadata."""
    return f"user:{subject.user_id}"


async def chat_response(
    request: Request, chat_id: UUID, handled: Handled, *, status: int = 200
) -> Response:
    """The chat as this request left it, in the shape of its stream."""
    state = await state_after(request, chat_id, handled)
    return json_response(
        public_chat(chat_id, state),
        status=status,
        handled=handled,
        about=(chat_id, state.version),
    )


def json_response(
    content: Mapping[str, Any],
    *,
    status: int = 200,
    handled: Handled | None = None,
    about: tuple[UUID, int] | None = None,
    more: Mapping[str, str] | None = None,
) -> Response:
    """A JSON answer, marked when it repeats an earlier one.

    `about`: the chat that it shows, and the version that it shows at least.
    """
    return Response(
        wire.dumps(content),
        status_code=status,
        headers=_headers(handled, about, more),
        media_type="application/json",
    )


def no_content(
    chat_id: UUID, handled: Handled, *, more: Mapping[str, str] | None = None
) -> Response:
    """204: it is so now; the version says since when."""
    about = (chat_id, last_version(handled))
    return Response(status_code=204, headers=_headers(handled, about, more))


def _headers(
    handled: Handled | None,
    about: tuple[UUID, int] | None,
    more: Mapping[str, str] | None,
) -> dict[str, str]:
    headers = {"cache-control": "no-store", **(more or {})}
    if about is not None:
        headers |= version_header(*about)
    if handled is not None and handled.outcome == "duplicate":
        headers[REPLAYED] = "true"
    return headers
