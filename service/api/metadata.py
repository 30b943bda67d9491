"""What is changed about a chat: name, labels, place, settings, what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_body, read_optional_body
from service.api.context import context_of
from service.api.model_choice import check_model_of
from service.api.perform import actor, no_content, perform_on, target_of
from service.api.pins import key_for
from service.api.schemas import ReadBody, UpdateChatBody
from service.domain.commands.chat import MoveReadCursor, UpdateChat


async def update_chat(request: Request) -> Response:
    """204: all that was given is so now. One command: all of it changes, or nothing."""
    target = await target_of(request, "chat.update")
    body = await read_body(request, UpdateChatBody)
    await check_model_of(request, target, body.model_config_id)
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    stale: Mapping[str, str] = {}
    if (order := changes.pop("pin_order", None)) is not None:
        changes["pin_key"], stale = await key_for(request, target, order)
    command = UpdateChat(
        now=context_of(request).now(), actor=actor(target.subject), **changes
    )
    handled = await perform_on(request, target, command, body)
    return no_content(target.chat_id, handled, more=stale)


async def move_read_cursor(request: Request) -> Response:
    """204: the owner has seen everything up to there."""
    target = await target_of(request, "chat.read_cursor")
    body = await read_optional_body(request, ReadBody)
    command = MoveReadCursor(
        now=context_of(request).now(),
        actor=actor(target.subject),
        message_id=body.message_id,
    )
    handled = await perform_on(request, target, command, body, where="/read")
    return no_content(target.chat_id, handled)
