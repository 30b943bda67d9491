"""The chats that no worker holds and one should."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from service.db.pool import Connection

FREE = """
SELECT k.priority, f.chat_id, f.status
FROM unnest(ARRAY[1, 2, 3]::smallint[]) AS k (priority), LATERAL (
  SELECT r.chat_id, r.status
  FROM read.runnable AS r
  WHERE r.priority = k.priority AND NOT EXISTS (
    SELECT FROM ops.leases AS l
    WHERE l.chat_id = r.chat_id
      AND l.heartbeat_at > clock_timestamp() - make_interval(secs => %s)
  )
  ORDER BY r.since, r.chat_id
  LIMIT %s
) AS f
"""
"""Each kind by itself: a thousand chats that wait for clients hide none that runs."""


@dataclass(frozen=True, slots=True)
class RunnableRow:
    """A row of the view read.runnable."""

    chat_id: UUID
    status: str
    version: int
    since: datetime
    priority: int


class FreeChat(NamedTuple):
    """A chat that no worker holds and one should."""

    chat_id: UUID
    status: str


async def runnable_chats(
    connection: Connection, limit: int, *, lease_s: float
) -> list[FreeChat]:
    """Chats without a lease younger than `lease_s` seconds, most urgent first.

    Interrupting ones come first (a person waits), then requires_action, then running;
    the one that waits longest first; at most `limit` of each. A hint: the lease and
    the log decide.
    """
    found = await connection.execute(FREE, (lease_s, limit))
    rows = await found.fetchall()
    # sorted here, and stable: each kind comes in its order, by its index
    return [FreeChat(*row[1:]) for row in sorted(rows, key=itemgetter(0))]
