"""GET /api/v1/chats/watch: what happens to the caller's chats, as it happens."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api.context import context_of
from service.api.query import known_only
from service.api.stream import (
    NOW,
    FeedResponse,
    place_text,
    unavailable_response,
)
from service.api.tickets import TICKET, follower_of
from service.auth.policy import Resource, allowed
from service.errors import Rejection
from service.stream.cursor import MalformedCursor
from service.stream.hub import AWAY
from service.stream.place import parse_place
from service.stream.watch import WatchFeed


async def watch_chats(request: Request) -> Response:
    """200 and frames from now on, or from the id that the client has seen last."""
    known_only(request, "after", TICKET)
    context = context_of(request)
    text = place_text(request) or NOW
    try:
        place = None if text == NOW else parse_place(WatchFeed.kind, text)
    except MalformedCursor as error:
        raise Rejection("invalid-cursor", str(error)) from error
    try:
        subject = await follower_of(request, None)
        if not allowed(subject, "chat.list", Resource(owner_id=subject.user_id)):
            raise Rejection("forbidden", "this token may not list chats")
        source = WatchFeed(context.pool, subject.user_id)
        if place is None:
            place = await source.head()
    except AWAY:
        return unavailable_response()
    return FeedResponse(source, place, context, context.feeds.watchers.bells)
