"""The queue of a chat: take a message out of it, or put one first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_optional_body
from service.api.context import context_of
from service.api.perform import (
    actor,
    chat_response,
    no_content,
    perform_on,
    target_of,
)
from service.api.query import known_only, path_number
from service.api.schemas import NothingBody
from service.domain.commands.chat import DeleteQueued, PromoteQueued


async def delete_queued(request: Request) -> Response:
    """204: the message is in the queue no longer."""
    target = await target_of(request, "chat.queue")
    queued_id = path_number(request, "queued_id")
    known_only(request)
    command = DeleteQueued(
        now=context_of(request).now(),
        actor=actor(target.subject),
        queued_id=queued_id,
    )
    where = f"/queue/{queued_id}"
    handled = await perform_on(request, target, command, NothingBody(), where=where)
    return no_content(target.chat_id, handled)


async def promote_queued(request: Request) -> Response:
    """202 and the chat: the message is next, once a running turn has stopped."""
    target = await target_of(request, "chat.queue")
    queued_id = path_number(request, "queued_id")
    body = await read_optional_body(request, NothingBody)
    command = PromoteQueued(
        now=context_of(request).now(),
        actor=actor(target.subject),
        queued_id=queued_id,
    )
    where = f"/queue/{queued_id}/promote"
    handled = await perform_on(request, target, command, body, where=where)
    return await chat_response(request, target.chat_id, handled, status=202)
