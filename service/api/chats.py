"""Chats: create, list, get."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid4

from psycopg.errors import UndefinedTable
from starlette.requests import Request
from starlette.responses import Response

from service.api.body import idempotency_key, read_body
from service.api.context import Context, context_of, load_chat, subject_of
from service.api.fields import VERSION_MAX
from service.api.freshness import STALE, wait_for_version
from service.api.model_choice import check_model
from service.api.perform import (
    CHATS,
    Asked,
    chat_response,
    json_response,
    may_begin,
    perform,
)
from service.api.problems import invalid
from service.api.query import Query
from service.api.schemas import CreateChatBody
from service.auth.policy import Resource, Subject, allowed
from service.domain.chat.public import public_chat
from service.domain.chat.title import fallback_title
from service.domain.commands.chat import CreateChat
from service.domain.ids import UserId, derive_chat_id
from service.domain.prompt_text import bounded
from service.domain.prompts import CURRENT_PROMPT, NO_PROMPT
from service.errors import FieldError, Rejection
from service.readmodels.chats import ChatFilters, Extras, get_extras
from service.readmodels.chats import list_chats as read_chats

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""For a setting that is nearly always known already."""

SHOWN = ("chats", "cursors")
"""Read models that a row of a list is made of."""


async def create_chat(request: Request) -> Response:
    """201 and the chat; a worker takes its first turn."""
    subject = await subject_of(request)
    key = idempotency_key(request)
    body = await read_body(request, CreateChatBody)
    chat_id = new_chat_id(subject, key)
    await check_model(request, subject, chat_id, body.model_config_id, key=key)
    default_prompt, deployment_prompt = await _first_prompts(context_of(request))
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
        default_prompt=default_prompt,
        deployment_prompt=deployment_prompt,
    )
    await may_begin(request, subject, chat_id, key=key)
    asked = Asked(CHATS, body, key)
    handled = await perform(request, subject, chat_id, command, asked=asked)
    return await chat_response(request, chat_id, handled, status=201)


async def list_chats(request: Request) -> Response:
    """200, the caller's chats: pins, then the one that changed last. May lag."""
    subject = await subject_of(request)
    if not allowed(subject, "chat.list", Resource(owner_id=subject.user_id)):
        raise Rejection("forbidden", "this token may not list chats")
    query = Query(
        request, "limit", "cursor", "archived", "has_unread", "title", "search",
        repeatable=("label",),
    )  # fmt: skip
    limit, cursor = query.limit(), query.given("cursor")
    filters = _filters(query)
    query.done()
    searched = filters is not None and filters.search is not None
    names = (*SHOWN, "search") if searched else SHOWN
    stale = await wait_for_version(request, subject, names)
    if filters is None:
        return json_response({"chats": [], "next_cursor": None}, more=stale)
    async with context_of(request).pool.connection() as connection:
        page = await read_chats(
            connection, subject.user_id, limit=limit, cursor=cursor, filters=filters
        )
    chats = [row.public() for row in page.chats]
    return json_response({"chats": chats, "next_cursor": page.next_cursor}, more=stale)


async def get_chat(request: Request) -> Response:
    """200 and the chat, as its stream has it; its pin and its family may lag.

    With `at_version`: as it was then, without these.
    """
    subject = await subject_of(request)
    chat_id, loaded = await load_chat(request, subject, "chat.read")
    query = Query(request, "at_version")
    then = query.number("at_version", 1, VERSION_MAX)
    query.done()
    if then is not None:
        past = await context_of(request).chats.load_at(chat_id, then)
        shown = public_chat(chat_id, past.state) | {"at_version": then}
        return json_response(shown, about=(chat_id, past.version))
    stale = await wait_for_version(request, subject, SHOWN)
    try:
        async with context_of(request).pool.connection() as connection:
            extras = await get_extras(connection, chat_id)
    except UndefinedTable:
        # the chat itself needs no read model
        extras, stale = Extras(0, ()), {STALE: ", ".join(SHOWN)}
    return json_response(
        {
            **public_chat(chat_id, loaded.state),
            "has_unread": loaded.state.first_unread is not None,
            # the read model may not have heard yet that it is no pin any more
            "pin_order": extras.pin_order if loaded.state.pin_key else 0,
            "children": [child.public() for child in extras.children],
        },
        about=(chat_id, loaded.version),
        more=stale,
    )


def _filters(query: Query) -> ChatFilters | None:
    """What the list is narrowed to; None: to nothing, whatever there is."""
    labels = query.labels("label")
    title, search = query.text("title"), query.text("search")
    if title is not None and search is not None:
        query.refuse("search", "looks into titles too; give it or title")
    filters = ChatFilters(
        archived=query.flag("archived") or False,
        labels=dict(labels),
        has_unread=query.flag("has_unread"),
        title=title,
        search=search,
    )
    # a label has one value
    return filters if len(filters.labels) == len(set(labels)) else None


def new_chat_id(subject: Subject, key: str | None) -> UUID:
    """Derived from the key, so that a retry comes back to the same chat."""
    return uuid4() if key is None else derive_chat_id(UserId(subject.user_id), key)


async def _first_prompts(context: Context) -> tuple[int, str]:
    """The number of our prompt, and the operator's text; ours if that is unreadable."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            included, text = await context.deployment_prompt()
    except Exception:
        # a setting that cannot be read keeps nobody from creating chats
        logger.warning("the deployment prompt cannot be read", exc_info=True)
        return CURRENT_PROMPT, ""
    added = bounded(text)
    if text and not added:
        logger.warning("the deployment prompt has nothing that can be seen")
    return CURRENT_PROMPT if included else NO_PROMPT, added


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
