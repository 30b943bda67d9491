"""Messages of a chat: read a page, send one, say one anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_body
from service.api.context import context_of, load_chat, subject_of
from service.api.fields import VERSION_MAX
from service.api.freshness import wait_for_version
from service.api.history import page_then
from service.api.model_choice import check_model_of
from service.api.perform import (
    json_response,
    last_version,
    perform_on,
    state_before,
    target_of,
    turn_may_begin,
)
from service.api.query import Query, path_number
from service.api.schemas import EditMessageBody, SendMessageBody
from service.auth.policy import Subject
from service.domain.chat.evolve import message_of
from service.domain.chat.public import public_message, public_queued, visible
from service.domain.chat.state import ChatState, QueuedMessage
from service.domain.commands.chat import EditMessage, SendMessage
from service.domain.events.chat import (
    ChatEvent,
    HistoryTruncated,
    MessageAppended,
    MessageQueued,
)
from service.eventstore.handle import Handled
from service.readmodels.messages import list_messages as read_messages
from service.readmodels.progress import shown_version
from service.readmodels.queue import QueueRow, list_queue


async def list_messages(request: Request) -> Response:
    """200 and a page of messages; without a cursor the queue too. May lag.

    With `at_version`: as they were then, which does not lag.
    """
    subject = await subject_of(request)
    chat_id, _ = await load_chat(request, subject, "chat.read")
    query = Query(request, "before_id", "after_id", "limit", "at_version")
    limit = query.limit()
    then = query.number("at_version", 1, VERSION_MAX)
    before, after = query.message_id("before_id"), query.message_id("after_id")
    if before is not None and after is not None and after >= before:
        query.refuse("after_id", "is not below before_id")
    query.done()
    if then is not None:
        past = await context_of(request).chats.load_at(chat_id, then)
        page = page_then(
            chat_id, past.state, before_id=before, after_id=after, limit=limit
        )
        shown = page | {"at_version": then}
        return json_response(shown, about=(chat_id, past.version))
    return await _list_now(request, subject, chat_id, before, after, limit)


async def _list_now(
    request: Request,
    subject: Subject,
    chat_id: UUID,
    before: int | None,
    after: int | None,
    limit: int,
) -> Response:
    newest = before is None and after is None
    names = ("messages", "queue") if newest else ("messages",)
    stale = await wait_for_version(request, subject, names)
    queue: Sequence[QueueRow] = ()
    async with context_of(request).pool.connection() as connection:
        version = await shown_version(connection, chat_id, names)
        if newest:
            # before the messages: one that is promoted meanwhile shows twice, not never
            queue = await list_queue(connection, chat_id)
        page = await read_messages(
            connection, chat_id, before_id=before, after_id=after, limit=limit
        )
    return json_response(
        {
            "messages": [row.public() for row in page.messages],
            "queued_messages": [row.public() for row in queue],
            "has_more": page.has_more,
        },
        about=(chat_id, version),
        more=stale,
    )


async def send_message(request: Request) -> Response:
    """200: the message is in the history, or in the queue of a busy chat."""
    target = await target_of(request, "chat.send")
    body = await read_body(request, SendMessageBody)
    await check_model_of(request, target, body.model_config_id)
    command = SendMessage(
        now=context_of(request).now(),
        sender_id=target.subject.user_id,
        parts=body.parts(),
        settings=body.settings(),
        busy_behavior=body.busy_behavior,
    )
    await turn_may_begin(request, target)
    handled = await perform_on(request, target, command, body, where="/messages")
    return json_response(
        sent(target.chat_id, handled),
        handled=handled,
        about=(target.chat_id, last_version(handled)),
    )


async def edit_message(request: Request) -> Response:
    """200: the message and all after it are gone, and this one is said instead."""
    target = await target_of(request, "chat.edit")
    message_id = path_number(request, "message_id")
    body = await read_body(request, EditMessageBody)
    await check_model_of(request, target, body.model_config_id)
    command = EditMessage(
        now=context_of(request).now(),
        sender_id=target.subject.user_id,
        message_id=message_id,
        parts=body.parts(),
        settings=body.settings(),
    )
    await turn_may_begin(request, target)
    where = f"/messages/{message_id}"
    handled = await perform_on(request, target, command, body, where=where)
    before = await state_before(request, target, handled)
    return json_response(
        edited(target.chat_id, before, handled),
        handled=handled,
        about=(target.chat_id, last_version(handled)),
    )


def edited(chat_id: UUID, before: ChatState, handled: Handled) -> dict[str, Any]:
    """What an edit did: the message as it is now, and what clients see no more."""
    answer: dict[str, Any] = {}
    for version, event in handled.events:
        if isinstance(event, HistoryTruncated):
            answer["deleted_message_ids"] = [
                message.id
                for message in before.messages
                if message.id >= event.from_id and visible(message)
            ]
        elif isinstance(event, MessageAppended) and event.role == "user":
            answer["message"] = public_message(chat_id, message_of(event, version))
    return answer


def sent(chat_id: UUID, handled: Handled) -> dict[str, Any]:
    """What a send did: the messages that it put into history, the one it queued."""
    answer: dict[str, Any] = {"messages": [], "queued": False}
    for version, event in handled.events:
        _tell(answer, chat_id, version, event)
    return answer


def _tell(
    answer: dict[str, Any], chat_id: UUID, version: int, event: ChatEvent
) -> None:
    if isinstance(event, MessageQueued):
        item = QueuedMessage(version, event.parts, event.at, event.created_by)
        answer["queued"] = True
        answer["queued_message"] = public_queued(chat_id, item)
    elif isinstance(event, MessageAppended):
        message = message_of(event, version)
        if not visible(message):
            return
        shown = public_message(chat_id, message)
        answer["messages"].append(shown)
        if message.role == "user" and message.queued_id is None:
            answer["message"] = shown
