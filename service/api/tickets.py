"""POST /api/v1/stream-tickets, and who follows: by ticket, or by bearer token."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_body
from service.api.context import context_of, may_read, note, subject_of
from service.api.perform import json_response
from service.api.problems import chat_not_found
from service.api.schemas import TicketBody
from service.auth.policy import Resource, Subject, allowed
from service.domain.times import rfc3339
from service.errors import Rejection

TICKET = "ticket"
"""The query parameter. A bearer token is never taken from a query string."""


async def create_ticket(request: Request) -> Response:
    """201 and a ticket that opens one stream, once, within a minute.

    Takes no Idempotency-Key: a ticket that got lost on its way expires unused.
    """
    subject = await subject_of(request)
    body = await read_body(request, TicketBody)
    context = context_of(request)
    if body.chat_id is None:
        if not allowed(subject, "chat.list", Resource(owner_id=subject.user_id)):
            raise Rejection("forbidden", "this token may not list chats")
    else:
        note(request, chat_id=str(body.chat_id))
        if not may_read(subject, await context.chats.load(body.chat_id)):
            raise chat_not_found()
    ticket, expires_at = await context.tickets.issue(subject, body.chat_id)
    return json_response(
        {"ticket": ticket, "expires_at": rfc3339(expires_at)}, status=201
    )


async def follower_of(request: Request, chat_id: UUID | None) -> Subject:
    """Who opens this stream; a ticket is used up. None: the feed of all chats.

    Raises Rejection `unauthorized`, or the pool's errors.
    """
    ticket = request.query_params.get(TICKET)
    if ticket is None:
        return await subject_of(request)
    return await context_of(request).tickets.subject(ticket, chat_id)
