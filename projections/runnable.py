"""The chats that a worker should hold: running, interrupting or requires_action."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from projections.projection import Entry, Projection, Row, Statement
from projections.status import STATUS_TYPES, status_after
from service.domain.chat.state import Status

UPSERT = """
INSERT INTO read.runnable__v{v} AS r (chat_id, status, version, since)
SELECT u.* FROM json_to_recordset(%s) AS u (
  chat_id uuid, status text, version int, since timestamptz)
ON CONFLICT (chat_id) DO UPDATE
SET status = excluded.status, version = excluded.version, since = excluded.since
WHERE r.version < excluded.version
"""

DELETE = """
DELETE FROM read.runnable__v{v} AS r
USING json_to_recordset(%s) AS u (chat_id uuid, version int)
WHERE r.chat_id = u.chat_id AND r.version < u.version
"""

RUNNABLE_STATUS = frozenset(
    {Status.RUNNING, Status.INTERRUPTING, Status.REQUIRES_ACTION}
)


def project(entries: Sequence[Entry]) -> list[Statement]:
    """The last status of each chat decides; one that nobody need hold has no row."""
    last: dict[UUID, Row] = {}
    for entry in entries:
        status = status_after(entry.event)
        if status is not None:
            last[entry.chat_id] = {
                "chat_id": entry.chat_id,
                "status": status,
                "version": entry.recorded.version,
                "since": entry.recorded.recorded_at,
            }
    return [
        Statement(UPSERT, [r for r in last.values() if r["status"] in RUNNABLE_STATUS]),
        Statement(
            DELETE, [r for r in last.values() if r["status"] not in RUNNABLE_STATUS]
        ),
    ]


RUNNABLE = Projection(
    name="runnable",
    version=1,
    types=STATUS_TYPES,
    tables={"runnable": "chat_id"},
    project=project,
)
