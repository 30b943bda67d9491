"""Where a pin stands: from the place that its owner wants to a sort key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from starlette.requests import Request

from service.api.context import context_of
from service.api.freshness import wait_for_head
from service.api.perform import Target
from service.domain.chat.pins import DIGITS, key_between
from service.readmodels.chats import pins

NO_PIN = ""
KEY_CHARS = 500
"""An index holds 2,700 bytes of a row; a person's pins need three or four."""


async def key_for(
    request: Request, target: Target, order: int
) -> tuple[str, Mapping[str, str]]:
    """The sort key for place `order` (0: none), and headers that say how sure it is.

    The order is read after all that was committed before is in it, so a client that
    pins one chat after the other gets the order that it asked for. Two requests at once
    may want the same place: digits of their ids keep their keys apart.
    """
    if order == 0:
        return NO_PIN, {}
    stale = await wait_for_head(request, target.chat_id, ("chats",))
    async with context_of(request).pool.connection() as connection:
        standing = await pins(connection, target.subject.user_id)
    return sort_key(target.chat_id, target.loaded.state.pin_key, order, standing), stale


def sort_key(
    chat_id: UUID, current: str | None, order: int, standing: Sequence[tuple[UUID, str]]
) -> str:
    """The key of an unpinned chat is the last; of a pinned one, that of the place."""
    others = [key for chat, key in standing if chat != chat_id]
    index = len(others)
    if current is not None:
        index = min(order - 1, index)
        if standing[index : index + 1] == [(chat_id, current)]:
            return current
    before = others[index - 1] if index else None
    after = next((k for k in others[index:] if before is None or k > before), None)
    key = key_between(before, after)
    own = key + _digits(chat_id)
    if after is None or own < after:
        key = own
    # so long only for who moves pins into one gap thousands of times: then they tie
    return key if len(key) <= KEY_CHARS else before or others[0]


def _digits(chat_id: UUID) -> str:
    """Three digits of a key that are a chat's; the last is not the lowest."""
    number, tail = divmod(chat_id.int, len(DIGITS) - 1)
    high, low = divmod(number, len(DIGITS))
    return DIGITS[high % len(DIGITS)] + DIGITS[low] + DIGITS[1 + tail]
