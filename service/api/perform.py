"""Performing a client's command: who, with which key, and what to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from service import wire
from service.api.body import request_hash
from service.api.context import context_of, note
from service.api.freshness import version_header
from service.auth.policy import Subject
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.commands.chat import ChatCommand
from service.domain.ids import CHAT
from service.eventstore import store
from service.eventstore.codec import decode
from service.eventstore.handle import Handled
from service.eventstore.records import StreamName
from service.log import correlation_id

REPLAYED = "Idempotent-Replayed"
"""Header of an answer that repeats an earlier one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asked for, so that its repetition is recognised."""

    path: str
    body: BaseModel
    key: str | None

    @property
    def hash(self) -> bytes:
        return request_hash("POST", self.path, self.body)


async def perform(
    request: Request,
    subject: Subject,
    chat_id: UUID,
    command: ChatCommand,
    *,
    asked: Asked,
) -> Handled:
    """Decide and append; a repeated key gives the first outcome. Raises Rejection."""
    handled = await context_of(request).chats.execute(
        chat_id,
        command,
        actor=actor(subject),
        key=None if asked.key is None else f"{subject.user_id}:{asked.key}",
        request_hash=None if asked.key is None else asked.hash,
        correlation_id=correlation_id(),
    )
    note(
        request,
        chat_id=str(chat_id),
        outcome=handled.outcome,
        events=len(handled.events),
    )
    return handled


async def state_after(request: Request, chat_id: UUID, handled: Handled) -> ChatState:
    """The chat right after this request's events; a replay's may lie in the past."""
    loaded, last = handled.loaded, last_version(handled)
    if last == loaded.version:
        return loaded.state
    state, stream = ChatState(), StreamName(CHAT, chat_id)
    async with context_of(request).pool.connection() as connection:
        while state.version < last:
            page = await store.read_stream(connection, stream, state.version)
            state = fold(state, (decode(e) for e in page if e.version <= last))
    return state


def last_version(handled: Handled) -> int:
    """The version of the chat that the answer to this request is about."""
    return handled.events[-1][0] if handled.events else handled.loaded.version


def actor(subject: Subject) -> str:
    """How a user is named in event metadata."""
    return f"user:{subject.user_id}"


def json_response(
    content: dict[str, Any],
    *,
    status: int = 200,
    handled: Handled | None = None,
    about: tuple[UUID, int] | None = None,
    more: Mapping[str, str] | None = None,
) -> Response:
    """A JSON answer, marked when it repeats an earlier one.

    `about`: the chat that it shows, and the version that it shows at least.
    """
    headers = {"cache-control": "no-store", **(more or {})}
    if about is not None:
        headers |= version_header(*about)
    if handled is not None and handled.outcome == "duplicate":
        headers[REPLAYED] = "true"
    return Response(
        wire.dumps(content),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )
