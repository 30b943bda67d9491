"""Chats: create, list, get."""

from __future__ import annotations

from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import idempotency_key, read_body
from service.api.context import context_of, load_chat, subject_of
from service.api.freshness import wait_for_version
from service.api.perform import CHATS, Asked, chat_response, json_response, perform
from service.api.problems import invalid
from service.api.query import known_only, page_limit
from service.api.schemas import CreateChatBody
from service.auth.policy import Resource, Subject, allowed
from service.domain.chat.public import public_chat
from service.domain.chat.title import fallback_title
from service.domain.commands.chat import CreateChat
from service.domain.ids import UserId, derive_chat_id
from service.errors import FieldError, Rejection
from service.readmodels.chats import list_chats as read_chats


async def create_chat(request: Request) -> Response:
    """201 and the chat; a worker takes its first turn."""
    subject = await subject_of(request)
    key = idempotency_key(request)
    body = await read_body(request, CreateChatBody)
    chat_id = new_chat_id(subject, key)
    command = CreateChat(
        now=context_of(request).now(),
        organization_id=_organization(subject, body.organization_id),
        owner_id=subject.user_id,
        title=fallback_title(body.parts()),
        parts=body.parts(),
        system_prompt=body.system_prompt or None,
        settings=body.settings(),
        client_type=body.client_type,
        labels=body.labels,
        plan_mode=body.plan_mode or "",
        client_tools=body.tools(),
    )
    asked = Asked(CHATS, body, key)
    handled = await perform(request, subject, chat_id, command, asked=asked)
    return await chat_response(request, chat_id, handled, status=201)


async def list_chats(request: Request) -> Response:
    """200, the caller's chats, the one that changed last first. May lag."""
    subject = await subject_of(request)
    known_only(request, "limit", "cursor")
    if not allowed(subject, "chat.list", Resource(owner_id=subject.user_id)):
        raise Rejection("forbidden", "this token may not list chats")
    limit, cursor = page_limit(request), request.query_params.get("cursor")
    stale = await wait_for_version(request, subject, ("chats",))
    async with context_of(request).pool.connection() as connection:
        page = await read_chats(connection, subject.user_id, limit=limit, cursor=cursor)
    chats = [row.public() for row in page.chats]
    return json_response({"chats": chats, "next_cursor": page.next_cursor}, more=stale)


async def get_chat(request: Request) -> Response:
    """200 and the chat, as its stream has it."""
    chat_id, loaded = await load_chat(request, await subject_of(request), "chat.read")
    return json_response(
        public_chat(chat_id, loaded.state), about=(chat_id, loaded.version)
    )


def new_chat_id(subject: Subject, key: str | None) -> UUID:
    """Derived from the key, so that a retry comes back to the same chat."""
    return uuid4() if key is None else derive_chat_id(UserId(subject.user_id), key)


def _organization(subject: Subject, given: UUID | None) -> UUID:
    """The organization of a new chat; it may be left out while there is only one."""
    organization = given
    if organization is None and len(subject.organizations) == 1:
        (organization,) = subject.organizations
    if organization is None and subject.organizations:
        raise invalid(FieldError("organization_id", "is required: you are in several"))
    resource = Resource(organization_id=organization)
    if not allowed(subject, "chat.create", resource):
        raise Rejection("forbidden", "you may not create chats in this organization")
    assert organization is not None  # noqa: S101  no organization is allowed nothing
    return organization
