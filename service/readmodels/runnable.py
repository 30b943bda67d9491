"""The chats that no worker holds and one should."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.db.pool import Connection

FREE = """
SELECT r.chat_id
FROM read.runnable AS r
WHERE NOT EXISTS (
  SELECT FROM ops.leases AS l
  WHERE l.chat_id = r.chat_id
    AND l.heartbeat_at > clock_timestamp() - make_interval(secs => %s)
)
ORDER BY r.priority, r.since, r.chat_id
LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class RunnableRow:
    """A row of the view read.runnable."""

    chat_id: UUID
    status: str
    version: int
    since: datetime
    priority: int


async def runnable_chats(
    connection: Connection, limit: int, *, lease_s: float
) -> list[UUID]:
    """Chats without a lease younger than `lease_s` seconds, most urgent first.

    Interrupting ones come first (a person waits), then requires_action, then running;
    the one that waits longest first. A hint: the lease and the log decide.
    """
    found = await connection.execute(FREE, (lease_s, limit))
    return [chat_id for (chat_id,) in await found.fetchall()]
