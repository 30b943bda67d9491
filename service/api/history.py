"""A chat's past: as it was at a version, a copy of it up to one, what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_optional_body
from service.api.chats import new_chat_id
from service.api.context import context_of, load_chat, subject_of
from service.api.fields import VERSION_MAX
from service.api.freshness import wait_for_version
from service.api.perform import (
    CHATS,
    Asked,
    attribution,
    chat_response,
    json_response,
    noted,
    target_of,
)
from service.api.query import Query
from service.api.schemas import ForkBody
from service.auth.policy import Resource, allowed
from service.domain.chat.public import public_message, public_queued, visible
from service.domain.chat.state import ChatState, Message
from service.errors import Rejection
from service.readmodels.messages import prompts as read_prompts
from service.readmodels.progress import shown_version

PROMPTS_DEFAULT = 500
PROMPTS_MAX = 2000
"""More than anybody goes back through with the arrow key."""


async def fork_chat(request: Request) -> Response:
    """201 and a chat at rest that begins as a copy of this one."""
    target = await target_of(request, "chat.fork")
    body = await read_optional_body(request, ForkBody)
    subject, state = target.subject, target.loaded.state
    there = Resource(organization_id=state.organization_id)
    if not allowed(subject, "chat.create", there):
        raise Rejection("forbidden", "you may not create chats in its organization")
    new_id = new_chat_id(subject, target.key)
    asked = Asked(f"{CHATS}/{target.chat_id}/fork", body, target.key)
    handled = await context_of(request).chats.fork(
        target.chat_id,
        new_id,
        version=body.version,
        owner_id=subject.user_id,
        now=context_of(request).now(),
        **attribution(subject, asked),
    )
    noted(request, new_id, handled)
    return await chat_response(request, new_id, handled, status=201)


async def list_prompts(request: Request) -> Response:
    """200 and the text of the user's messages, newest first. May lag."""
    subject = await subject_of(request)
    chat_id, _ = await load_chat(request, subject, "chat.read")
    query = Query(request, "limit")
    limit = query.number("limit", 0, PROMPTS_MAX) or PROMPTS_DEFAULT
    query.done()
    stale = await wait_for_version(request, subject, ("messages",))
    async with context_of(request).pool.connection() as connection:
        version = await shown_version(connection, chat_id, ("messages",))
        prompts = await read_prompts(connection, chat_id, limit)
    return json_response(
        {"prompts": [{"id": id_, "text": text} for id_, text in prompts]},
        about=(chat_id, version),
        more=stale,
    )


def page_then(
    chat_id: UUID,
    state: ChatState,
    *,
    before_id: int | None,
    after_id: int | None,
    limit: int,
) -> dict[str, object]:
    """A page of the messages that there were, as lists of now have them."""
    lowest, highest = after_id or 0, before_id or VERSION_MAX + 1
    found = [m for m in state.messages if lowest < m.id < highest and visible(m)]
    oldest_first = after_id is not None and before_id is None
    ordered: Sequence[Message] = found if oldest_first else found[::-1]
    newest = before_id is None and after_id is None
    queue = state.queue if newest else ()
    return {
        "messages": [public_message(chat_id, m) for m in ordered[:limit]],
        "queued_messages": [public_queued(chat_id, item) for item in queue],
        "has_more": len(found) > limit,
    }
