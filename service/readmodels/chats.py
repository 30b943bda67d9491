"""Chats as rows: a user's list page by page, families, pins, what runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service import wire
from service.db.pool import Connection
from service.domain.chat.public import OPTIONAL_IDS
from service.domain.times import rfc3339
from service.readmodels.cursor import ChatCursor, PinCursor, parse_cursor

COLUMNS = """
c.id, c.organization_id, c.owner_id, c.title, c.status, c.archived, c.client_type,
c.labels, c.parent_chat_id, c.root_chat_id, c.created_at, c.updated_at, c.last_error,
c.version, c.plan_mode, c.workspace_id, c.model_config_id, c.mcp_server_ids, c.pin_key,
c.origin, c.projection_error, coalesce(s.read_up_to, 0), s.first_unread IS NOT NULL"""

RANKED = """
SELECT *, row_number() OVER (ORDER BY pin_key, id)::int AS place FROM read.chats
WHERE owner_id = %(owner)s AND pin_key IS NOT NULL"""

PINNED = f"""
SELECT {COLUMNS}, c.place FROM ({RANKED}) AS c
LEFT JOIN read.cursors AS s ON s.chat_id = c.id
WHERE c.archived = %(archived)s AND c.root_chat_id IS NULL
  AND (c.pin_key, c.id) > (%(pin_key)s, %(id)s)
  {{filters}}
ORDER BY c.pin_key, c.id LIMIT %(limit)s
"""  # noqa: S608 - our own text
"""Ranks count all pins, also those that a filter leaves out; owners have few."""

LISTED = f"""
SELECT {COLUMNS}, 0 FROM read.chats AS c
LEFT JOIN read.cursors AS s ON s.chat_id = c.id
WHERE c.owner_id = %(owner)s AND c.archived = %(archived)s AND c.root_chat_id IS NULL
  AND c.pin_key IS NULL AND (c.updated_at, c.id) < (%(updated_at)s, %(id)s)
  {{filters}}
ORDER BY c.updated_at DESC, c.id DESC LIMIT %(limit)s
"""  # noqa: S608 - our own text

CHILDREN = f"""
SELECT {COLUMNS}, 0 FROM read.chats AS c
LEFT JOIN read.cursors AS s ON s.chat_id = c.id
WHERE c.root_chat_id = ANY (%(roots)s)
ORDER BY c.created_at DESC, c.id DESC
"""  # noqa: S608 - our own text

UNREAD = "(SELECT u.first_unread FROM read.cursors AS u WHERE u.chat_id = c.id)"

FILTERS = {
    "labels": "AND c.labels @> %(labels)s::jsonb",
    # asked of each chat in the order of the list, until the page is full
    "unread": f"AND {UNREAD} IS NOT NULL",
    "read": f"AND {UNREAD} IS NULL",
    # without an escape character: % and _ are wildcards, and nothing else is special
    "title": "AND c.title ILIKE %(title)s ESCAPE ''",
    "search": """AND c.id IN (SELECT w.chat_id FROM read.search AS w
    WHERE w.words @@ websearch_to_tsquery('pg_catalog.simple', %(search)s))""",
}

OWNER = "SELECT owner_id, archived FROM read.chats WHERE id = %s"

PLACE = f"SELECT place FROM ({RANKED}) AS p WHERE p.id = %(id)s"  # noqa: S608

PINS = """
SELECT id, pin_key FROM read.chats
WHERE owner_id = %s AND pin_key IS NOT NULL
ORDER BY pin_key, id
"""

RUNNING = """
SELECT count(*) FROM read.chats
WHERE owner_id = %s AND status IN ('running', 'interrupting')
"""


@dataclass(frozen=True, slots=True)
class ChatColumns:
    """A row of the view read.chats."""

    id: UUID
    organization_id: UUID
    owner_id: UUID
    title: str
    status: str
    archived: bool
    client_type: str
    labels: dict[str, str]
    parent_chat_id: UUID | None
    root_chat_id: UUID | None
    created_at: datetime
    updated_at: datetime
    last_error: dict[str, Any] | None
    version: int
    plan_mode: str
    workspace_id: UUID | None
    model_config_id: UUID | None
    mcp_server_ids: list[str]
    pin_key: str | None
    origin: dict[str, Any] | None
    projection_error: str | None
    """Which of its read models stopped at an event; None when all go on."""


@dataclass(frozen=True, slots=True)
class ChatRow(ChatColumns):
    """A chat with what other rows say of it."""

    last_read_message_id: int
    has_unread: bool
    pin_order: int
    """1, 2, ... among its owner's pins; 0 for a chat that is no pin."""
    children: Sequence[ChatRow] = ()
    """The rest of its family with the same `archived`, the youngest first."""

    def public(self) -> dict[str, Any]:
        """The chat as clients see it: the shape of `public_chat`, and what lists add.

        `projection_error` is added when there is one.
        """
        chat: dict[str, Any] = {
            "id": str(self.id),
            "organization_id": str(self.organization_id),
            "owner_id": str(self.owner_id),
            "title": self.title,
            "status": self.status,
            "last_error": self.last_error,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "archived": self.archived,
            "labels": self.labels,
            "client_type": self.client_type,
            "version": self.version,
            "plan_mode": self.plan_mode,
            "pinned": self.pin_key is not None,
            "last_read_message_id": self.last_read_message_id,
            "mcp_server_ids": self.mcp_server_ids,
            "has_unread": self.has_unread,
            "pin_order": self.pin_order,
            "children": [child.public() for child in self.children],
        }
        return chat | self._when_set()

    def _when_set(self) -> dict[str, Any]:
        optional = {name: getattr(self, name) for name in OPTIONAL_IDS}
        shown: dict[str, Any] = {k: str(v) for k, v in optional.items() if v}
        if self.origin is not None:
            shown |= {"forked_from": self.origin}
        if self.projection_error is not None:
            shown |= {"projection_error": self.projection_error}
        return shown


@dataclass(frozen=True, slots=True)
class ChatFilters:
    """Which of an owner's chats; all that is given must hold."""

    archived: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    has_unread: bool | None = None
    title: str | None = None
    """A part of the title in any case; `%` and `_` are wildcards."""
    search: str | None = None
    """Words of the title or of one message; `"a phrase"`, `-without`, `or`."""

    def sql(self) -> str:
        """The conditions, for the values that `values` gives."""
        given = {
            "labels": bool(self.labels),
            "unread": self.has_unread is True,
            "read": self.has_unread is False,
            "title": self.title is not None,
            "search": self.search is not None,
        }
        return "\n  ".join(
            FILTERS[name] for name, is_given in given.items() if is_given
        )

    def values(self) -> dict[str, object]:
        """What the conditions compare with."""
        return {
            "archived": self.archived,
            "labels": wire.dumps(dict(self.labels)).decode(),
            "title": f"%{self.title}%",
            "search": self.search,
        }


class ChatPage(NamedTuple):
    """Some chats in order, and where to go on; None at the end."""

    chats: Sequence[ChatRow]
    next_cursor: str | None


class Extras(NamedTuple):
    """What a chat's own log does not say about it."""

    pin_order: int
    children: Sequence[ChatRow]


EVERYTHING = ChatFilters()
"""All chats that are not archived."""


async def list_chats(
    connection: Connection,
    owner_id: UUID,
    *,
    limit: int,
    cursor: str | None = None,
    filters: ChatFilters = EVERYTHING,
) -> ChatPage:
    """The owner's root chats: pins in their order, then the one that changed last.

    A chat that does not change while a client pages is seen exactly once; one that
    changes moves to the front, so it is seen once or, from the first page on, again.
    Raises Rejection for a malformed cursor.
    """
    after = PinCursor() if cursor is None else parse_cursor(cursor)
    asked = {"owner": owner_id} | filters.values()
    rows: list[ChatRow] = []
    # one more tells whether there is another page
    wanted = limit + 1
    if isinstance(after, PinCursor):
        values = asked | {"pin_key": after.key, "id": after.id, "limit": wanted}
        rows = await _rows(connection, PINNED.format(filters=filters.sql()), values)
        after = ChatCursor()
    if len(rows) < wanted:
        missing = wanted - len(rows)
        values = asked | after._asdict() | {"limit": missing}
        rows += await _rows(connection, LISTED.format(filters=filters.sql()), values)
    chats = await _with_children(connection, rows[:limit])
    return ChatPage(chats, _after(chats[-1]) if len(rows) > limit else None)


async def get_extras(connection: Connection, chat_id: UUID) -> Extras:
    """Its place among its owner's pins, and its family; may lag."""
    found = await connection.execute(OWNER, (chat_id,))
    row = await found.fetchone()
    if row is None:
        return Extras(0, ())
    owner_id, archived = row
    found = await connection.execute(PLACE, {"owner": owner_id, "id": chat_id})
    place = await found.fetchone()
    families = await _families(connection, [chat_id])
    children = [c for c in families[chat_id] if c.archived == archived]
    return Extras(0 if place is None else int(place[0]), children)


async def pins(connection: Connection, owner_id: UUID) -> list[tuple[UUID, str]]:
    """The owner's pinned chats and their sort keys, in order."""
    found = await connection.execute(PINS, (owner_id,))
    return [(chat_id, key) for chat_id, key in await found.fetchall()]


async def running_of(connection: Connection, owner_id: UUID) -> int:
    """How many of the owner's chats a model works for now; spawned ones too."""
    found = await connection.execute(RUNNING, (owner_id,))
    ((count,),) = await found.fetchall()
    return int(count)


async def _with_children(
    connection: Connection, rows: Sequence[ChatRow]
) -> list[ChatRow]:
    families = await _families(connection, [row.id for row in rows])
    return [
        replace(
            row, children=[c for c in families[row.id] if c.archived == row.archived]
        )
        for row in rows
    ]


async def _families(
    connection: Connection, roots: Sequence[UUID]
) -> Mapping[UUID, list[ChatRow]]:
    families: dict[UUID, list[ChatRow]] = defaultdict(list)
    if roots:
        for row in await _rows(connection, CHILDREN, {"roots": list(roots)}):
            assert row.root_chat_id is not None  # noqa: S101 - asked for by it
            families[row.root_chat_id].append(row)
    return families


async def _rows(
    connection: Connection, query: str, values: Mapping[str, object]
) -> list[ChatRow]:
    found = await connection.execute(query.encode(), values)
    return [ChatRow(*row) for row in await found.fetchall()]


def _after(row: ChatRow) -> str:
    if row.pin_key is not None:
        return str(PinCursor(row.pin_key, row.id))
    return str(ChatCursor(row.updated_at, row.id))
