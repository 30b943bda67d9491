"""The words of chats, for full text search: of titles and of visible messages."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from projections.messages import TRUNCATE, truncated
from projections.projection import Entry, Projection, Row, Statement
from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    MessageAppended,
    TitleChanged,
)
from service.domain.parts import TextPart

TITLE = 0
"""The id of the row with a title's words: messages count from 1."""

LONGEST = 100_000
"""Characters that count: PostgreSQL refuses words with places beyond 1 MB in a row."""

UPSERT = """
INSERT INTO read.search__v{v} AS s
SELECT u.chat_id, u.id, u.version, to_tsvector('pg_catalog.simple', u.words)
FROM json_to_recordset(%s) AS u (chat_id uuid, id int, version int, words text)
ON CONFLICT (chat_id, id) DO UPDATE
SET version = excluded.version, words = excluded.words
WHERE s.version < excluded.version
"""

FORGET = TRUNCATE.replace("read.messages__v", "read.search__v")


def project(entries: Sequence[Entry]) -> list[Statement]:
    """The newest title, all messages with words, less those that were taken back."""
    rows: dict[tuple[UUID, int], Row] = {}
    for entry in entries:
        words = _words(entry.event)
        if words is None:
            continue
        version = entry.recorded.version
        place = version if isinstance(entry.event, MessageAppended) else TITLE
        rows[entry.chat_id, place] = {
            "chat_id": entry.chat_id,
            "id": place,
            "version": version,
            "words": words[:LONGEST],
        }
    return [Statement(UPSERT, [*rows.values()]), Statement(FORGET, truncated(entries))]


def _words(event: ChatEvent) -> str | None:
    match event:
        case ChatCreated(title=title) | TitleChanged(title=title):
            return title
        case MessageAppended(visibility="user" | "both", parts=parts):
            texts = [part.text for part in parts if isinstance(part, TextPart)]
            return "\n".join(texts) if any(texts) else None
        case _:
            return None


SEARCH = Projection(
    name="search",
    version=1,
    types=frozenset(
        {"chat_created", "title_changed", "message_appended", "history_truncated"}
    ),
    tables={"search": "chat_id"},
    project=project,
)
