"""Reading live parts, from the primary only: new ones for followers, one whole episode.

Rows are read by (chat, epoch, attempt, seq); `seq` is contiguous from 1 within an
episode, so a reader sees a hole at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.db.pool import Connection

EPISODE = """
SELECT seq, data
FROM es.live_parts
WHERE chat_id = %s AND epoch = %s AND attempt = %s
ORDER BY seq
"""

NEWER = """
SELECT p.chat_id, p.epoch, p.attempt, p.seq, p.data
FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::int[])
  AS w (chat_id, epoch, attempt, seq)
CROSS JOIN LATERAL (
  SELECT * FROM es.live_parts AS l
  WHERE l.chat_id = w.chat_id
    AND (l.epoch, l.attempt, l.seq) > (w.epoch, w.attempt, w.seq)
  ORDER BY l.epoch, l.attempt, l.seq
  LIMIT %s
) AS p
"""


@dataclass(frozen=True, slots=True)
class PartCursor:
    """After part `seq` of this episode; (0, 0, 0) is before every episode."""

    epoch: int = 0
    attempt: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class LivePart:
    """One row: a delta of what the model says. `data` is {"role", "part"}."""

    chat_id: UUID
    epoch: int
    attempt: int
    seq: int
    data: dict[str, Any]


async def read_episode(
    connection: Connection, chat_id: UUID, epoch: int, attempt: int
) -> list[LivePart]:
    """All parts of one episode, in order."""
    cursor = await connection.execute(EPISODE, (chat_id, epoch, attempt))
    return [
        LivePart(chat_id, epoch, attempt, seq, data)
        for seq, data in await cursor.fetchall()
    ]


async def read_newer(
    connection: Connection, after: Mapping[UUID, PartCursor], *, limit: int
) -> list[LivePart]:
    """Parts after each chat's cursor, at most `limit` a chat, in order per chat."""
    if not after:
        return []
    places = after.values()
    cursor = await connection.execute(
        NEWER,
        (
            list(after),
            [p.epoch for p in places],
            [p.attempt for p in places],
            [p.seq for p in places],
            limit,
        ),
    )
    return [LivePart(*row) for row in await cursor.fetchall()]
