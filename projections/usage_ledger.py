"""What was asked of models, by whom, and what it cost: one row a call, for good.

Edits take nothing back, and of an erased chat stays what was spent on it: a purge
leaves in the log what these rows are made of. What a fork has copied was spent
elsewhere, and goes at `chat_forked`, which is in the same append.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from projections.projection import Entry, Projection, Row, Statement
from service.domain.events.chat import (
    ChatCreated,
    ChatForked,
    InterruptionFinished,
    ModelRef,
    Purpose,
    StepCommitted,
    Usage,
    UsageRecorded,
)
from service.domain.upcasters import UNKNOWN
from service.eventstore.codec import ERASED

OWN = """
INSERT INTO read.usage_chats__v{v} AS c
SELECT u.* FROM json_to_recordset(%s) AS u (
  chat_id uuid, user_id uuid, organization_id uuid, root_chat_id uuid, version int)
ON CONFLICT (chat_id) DO UPDATE
SET user_id = excluded.user_id, organization_id = excluded.organization_id,
  root_chat_id = excluded.root_chat_id, version = excluded.version
WHERE c.version < excluded.version
"""
"""Whose the chats of the batch are, before anything is charged to somebody."""

CHARGE = """
INSERT INTO read.usage_ledger__v{v}
SELECT u.position, u.at, c.user_id, c.organization_id, u.chat_id,
  coalesce(c.root_chat_id, u.chat_id), u.model_config_id, u.provider, u.model,
  CASE WHEN u.purpose = 'turn' AND c.root_chat_id IS NOT NULL THEN 'subagent'
    ELSE u.purpose END, u.input_tokens, u.output_tokens, u.cache_read_tokens,
  u.cache_creation_tokens, u.reasoning_tokens, u.cost_micros, u.runtime_ms
FROM json_to_recordset(%s) AS u (
  chat_id uuid, position bigint, at timestamptz, model_config_id uuid, provider text,
  model text, purpose text, input_tokens bigint, output_tokens bigint,
  cache_read_tokens bigint, cache_creation_tokens bigint, reasoning_tokens bigint,
  cost_micros bigint, runtime_ms bigint)
LEFT JOIN read.usage_chats__v{v} AS c USING (chat_id)
ON CONFLICT (position) DO NOTHING
"""
"""A chat's owner never changes after its first append; nobody's would be an error."""

COPIES = """
DELETE FROM read.usage_ledger__v{v} AS l
USING json_to_recordset(%s) AS u (chat_id uuid, position bigint)
WHERE l.chat_id = u.chat_id AND l.position < u.position
"""


def project(entries: Sequence[Entry]) -> list[Statement]:
    """Whose chats are, what was asked in them, less what forks have copied."""
    owned: dict[UUID, Row] = {}
    calls: list[Row] = []
    copied: list[Row] = []
    for entry in entries:
        event = entry.event
        if isinstance(event, ChatCreated | ChatForked):
            owned[entry.chat_id] = _owned(entry, event)
        if isinstance(event, ChatForked):
            place = {"chat_id": entry.chat_id, "position": entry.recorded.position}
            copied.append(place)
        if (call := _call(entry)) is not None:
            calls.append(call)
    return [
        Statement(OWN, [*owned.values()]),
        Statement(CHARGE, calls),
        Statement(COPIES, copied),
    ]


def keep(_stream_ids: Sequence[UUID]) -> list[Statement]:
    """What was spent was spent: a purge takes out nothing."""
    return []


def _owned(entry: Entry, event: ChatCreated | ChatForked) -> Row:
    spawned = event.root_chat_id if isinstance(event, ChatCreated) else None
    return {
        "chat_id": entry.chat_id,
        "user_id": event.owner_id,
        "organization_id": event.organization_id,
        "root_chat_id": spawned,
        "version": entry.recorded.version,
    }


def _call(entry: Entry) -> Row | None:
    """The call that the event tells of, if it tells of one."""
    match entry.event:
        case StepCommitted(kind="model") as step:
            return _row(entry, step, "turn", _counted(step))
        case StepCommitted(kind="compaction") as step:
            return _row(entry, step, "compaction", _counted(step))
        case UsageRecorded() as event:
            return _row(entry, event, event.purpose, _counted(event))
        case InterruptionFinished(asked=ModelRef()) as event:
            # what an answer took that was cut off, its vendor never said
            summed_up = event.kind == "compaction"
            return _row(entry, event, "compaction" if summed_up else "turn", {})
        case _:
            return None


def _row(
    entry: Entry,
    event: StepCommitted | UsageRecorded | InterruptionFinished,
    purpose: Purpose,
    counted: Row,
) -> Row:
    asked = event.asked or ModelRef(provider=UNKNOWN, model=UNKNOWN)
    return {
        "chat_id": entry.chat_id,
        "position": entry.recorded.position,
        "at": entry.recorded.recorded_at,
        "purpose": purpose,
        **asked.model_dump(),
        **counted,
        "runtime_ms": event.runtime_ms,
    }


def _counted(event: StepCommitted | UsageRecorded) -> Row:
    tokens = (event.usage or Usage()).model_dump()
    return {**tokens, "cost_micros": event.cost_micros}


USAGE_LEDGER = Projection(
    name="usage_ledger",
    version=1,
    types=frozenset(
        {
            "chat_created", "chat_forked", "step_committed", "usage_recorded",
            "interruption_finished", ERASED,
        }
    ),
    tables={"usage_ledger": "chat_id", "usage_chats": "chat_id"},
    project=project,
    purge=keep,
)  # fmt: skip
