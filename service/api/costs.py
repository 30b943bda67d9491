"""What chats cost: a family of them, and all of a user in a span of time. May lag."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from service.api.context import context_of, load_chat, note, subject_of
from service.api.freshness import wait_for_version
from service.api.perform import json_response
from service.api.query import Query, known_only
from service.auth.policy import Resource, Subject, allowed
from service.domain.times import rfc3339, to_utc
from service.errors import Rejection
from service.readmodels.progress import shown_version
from service.readmodels.usage import ledger_now, spent_by, tree_cost

SPAN = timedelta(days=30)
"""What a summary is about unless it is told: about a month of a budget."""

YEARS = range(1970, 9999)
"""So that neither a time zone nor the span before it leads out of the calendar."""

ME = "me"

_RFC3339 = re.compile(
    r"(\d{4})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


async def chat_cost(request: Request) -> Response:
    """200 and what the chat's whole family cost, whichever of it is asked about."""
    subject = await subject_of(request)
    chat_id, loaded = await load_chat(request, subject, "chat.read")
    known_only(request)
    names = ("usage_ledger",)
    stale = await wait_for_version(request, subject, names)
    root = loaded.state.root_chat_id or chat_id
    async with context_of(request).pool.connection() as connection:
        version = await shown_version(connection, chat_id, names)
        cost = await tree_cost(connection, root)
    return json_response(
        {"chat_id": str(root), **cost._asdict()}, about=(chat_id, version), more=stale
    )


async def cost_summary(request: Request) -> Response:
    """200 and what a user spent from a start on and before an end."""
    subject = await subject_of(request)
    user_id = _user(request, subject)
    query = Query(request, "start_date", "end_date")
    given = _instant(query, "start_date"), _instant(query, "end_date")
    query.done()
    stale = await wait_for_version(request, subject, ("usage_ledger", "chats"))
    async with context_of(request).pool.connection() as connection:
        end = given[1] or await ledger_now(connection)
        start = given[0] or end - SPAN
        if start >= end:
            query.refuse("start_date", "is not before end_date")
            query.done()
        spent = await spent_by(connection, user_id, start, end)
    span = {"start_date": rfc3339(start), "end_date": rfc3339(end)}
    return json_response({**span, **spent.public()}, more=stale)


def _user(request: Request, subject: Subject) -> UUID:
    """The user in the path: the caller, and nobody else in this release."""
    text = request.path_params["user"]
    try:
        user_id = subject.user_id if text == ME else UUID(text)
    except ValueError:
        raise Rejection("invalid-id", "the user is neither me nor a UUID") from None
    note(request, user=str(user_id))
    if not allowed(subject, "chat.list", Resource(owner_id=subject.user_id)):
        raise Rejection("forbidden", "this token may not read what chats cost")
    if user_id != subject.user_id:
        raise Rejection("not-found", "there is no such user, or none that you may see")
    return user_id


def _instant(query: Query, name: str) -> datetime | None:
    """A point in time, which says its time zone. A plus in a URL is written %2B."""
    text = query.given(name)
    if text is None:
        return None
    match = _RFC3339.fullmatch(text)
    try:
        if match is not None and int(match[1]) in YEARS:
            return to_utc(datetime.fromisoformat(text.upper()))
    except ValueError:
        pass
    query.refuse(name, "is not a time as 2026-03-01T00:00:00Z, from 1970 to 9998")
    return None
