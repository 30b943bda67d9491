"""Chats: create, list, get, interrupt."""

from __future__ import annotations

from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import idempotency_key, read_body, read_optional_body
from service.api.context import context_of, load_chat, subject_of
from service.api.freshness import wait_for_version
from service.api.perform import Asked, actor, json_response, perform, state_after
from service.api.problems import invalid
from service.api.query import known_only, page_limit
from service.api.schemas import CreateChatBody, InterruptBody, label_errors
from service.auth.policy import Resource, Subject, allowed
from service.domain.chat.public import public_chat
from service.domain.chat.title import fallback_title
from service.domain.commands.chat import CreateChat, Interrupt
from service.domain.ids import UserId, derive_chat_id
from service.errors import FieldError, Rejection
from service.readmodels.chats import list_chats as read_chats

PATH = "/api/v1/chats"


async def create_chat(request: Request) -> Response:
    """201 and the chat; a worker takes its first turn."""
    subject = await subject_of(request)
    key = idempotency_key(request)
    body = await read_body(request, CreateChatBody)
    if errors := label_errors(body.labels):
        raise invalid(*errors)
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
    )
    asked = Asked(PATH, body, key)
    handled = await perform(request, subject, chat_id, command, asked=asked)
    state = await state_after(request, chat_id, handled)
    return json_response(
        public_chat(chat_id, state),
        status=201,
        handled=handled,
        about=(chat_id, state.version),
    )


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


async def interrupt_chat(request: Request) -> Response:
    """200 and the chat, which is interrupting; a worker keeps what had been said."""
    subject = await subject_of(request)
    key = idempotency_key(request)
    chat_id, _ = await load_chat(request, subject, "chat.interrupt")
    body = await read_optional_body(request, InterruptBody)
    command = Interrupt(now=context_of(request).now(), actor=actor(subject))
    asked = Asked(f"{PATH}/{chat_id}/interrupt", body, key)
    handled = await perform(request, subject, chat_id, command, asked=asked)
    state = await state_after(request, chat_id, handled)
    return json_response(
        public_chat(chat_id, state), handled=handled, about=(chat_id, state.version)
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
