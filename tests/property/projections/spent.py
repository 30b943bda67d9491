"""What the log says was spent: the reference of the ledger, and of a rebuild of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from service.db.pool import Connection
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.events.chat import (
    ChatForked,
    InterruptionFinished,
    ModelRef,
    StepCommitted,
    Usage,
    UsageRecorded,
)
from tests.unit.projections.log import Log

LEDGER = """
SELECT position, user_id, organization_id, chat_id, root_chat_id, purpose, provider,
  model, model_config_id, input_tokens, output_tokens, cost_micros, runtime_ms
FROM read.usage_ledger ORDER BY position
"""


async def assert_ledger(connection: Connection, log: Log) -> None:
    """A row a call, in the order of the log; what forks have copied is none."""
    found = await connection.execute(LEDGER)
    assert await found.fetchall() == ledger_of(log)


def ledger_of(log: Log) -> list[tuple[Any, ...]]:
    """The rows that the log makes."""
    rows = [row for chat_id in log.versions for row in _of_chat(log, chat_id)]
    return sorted(rows)


def _of_chat(log: Log, chat_id: UUID) -> list[tuple[Any, ...]]:
    entries = [entry for entry in log.entries if entry.chat_id == chat_id]
    state = fold(ChatState(), [entry.event for entry in entries])
    forks = [e.recorded.position for e in entries if isinstance(e.event, ChatForked)]
    root = state.root_chat_id
    rows = []
    for entry in entries:
        place, event = entry.recorded.position, entry.event
        call = _call(event)
        if call is None or place < max(forks, default=0):
            continue
        asked, purpose, usage, cost, runtime = call
        if purpose == "turn" and root is not None:
            purpose = "subagent"
        rows.append(
            (place, state.owner_id, state.organization_id, chat_id, root or chat_id,
             purpose, asked.provider, asked.model, asked.model_config_id,
             usage.input_tokens, usage.output_tokens, cost, runtime)
        )  # fmt: skip
    return rows


def _call(event: object) -> tuple[ModelRef, str, Usage, Any, Any] | None:
    nobody, nothing = ModelRef(provider="unknown", model="unknown"), Usage()
    match event:
        case StepCommitted(kind="model" | "compaction" as kind) as e:
            purpose = "turn" if kind == "model" else kind
            rest = (e.usage or nothing, e.cost_micros, e.runtime_ms)
            return e.asked or nobody, purpose, *rest
        case UsageRecorded() as e:
            return e.asked, e.purpose, e.usage or nothing, e.cost_micros, e.runtime_ms
        case InterruptionFinished(asked=ModelRef() as asked) as e:
            return asked, "turn", nothing, None, e.runtime_ms
        case _:
            return None
