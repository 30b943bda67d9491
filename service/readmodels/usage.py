"""What was spent on models: by a family of chats, by a user in a span of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.db.pool import Connection

TREE = """
SELECT coalesce(sum(l.cost_micros), 0)::bigint, count(*),
  count(*) FILTER (WHERE l.cost_micros IS NULL)
FROM read.usage_ledger AS l
WHERE l.root_chat_id = %s
"""

SUMS = """
coalesce(sum(l.cost_micros), 0)::bigint AS cost, count(*) AS calls, count(l.cost_micros)
  AS priced, coalesce(sum(l.input_tokens), 0)::bigint AS input,
coalesce(sum(l.output_tokens), 0)::bigint AS output,
coalesce(sum(l.cache_read_tokens), 0)::bigint AS cache_read,
coalesce(sum(l.cache_creation_tokens), 0)::bigint AS cache_creation,
coalesce(sum(l.runtime_ms), 0)::bigint AS runtime_ms"""

SPENT = f"""
SELECT s.*, m.display_name, c.title FROM (
  SELECT grouping(l.root_chat_id) = 0 AS by_chat, grouping(l.provider) = 0 AS by_model,
    l.root_chat_id, l.model_config_id, l.provider, l.model, {SUMS}
  FROM read.usage_ledger AS l
  WHERE l.user_id = %s AND l.at >= %s AND l.at < %s
  GROUP BY GROUPING SETS (
    (), (l.model_config_id, l.provider, l.model), (l.root_chat_id))) AS s
LEFT JOIN platform.model_configs AS m ON m.id = s.model_config_id
LEFT JOIN read.chats AS c ON c.id = s.root_chat_id
ORDER BY s.cost DESC, s.calls DESC, s.root_chat_id, s.provider, s.model,
  s.model_config_id
"""  # noqa: S608 - our own text
"""One statement, so that the sums of all three are sums of the same calls."""


NOW = "SELECT clock_timestamp()"


class TreeCost(NamedTuple):
    """What a family of chats cost. A call without a price counts as nothing."""

    total_cost_micros: int
    request_count: int
    unpriced_request_count: int


@dataclass(frozen=True, slots=True)
class Sums:
    """Some calls of models, added up. A token that nobody counted is none."""

    total_cost_micros: int
    calls: int
    priced: int
    total_input_tokens: int
    total_output_tokens: int
    total_cache_read_tokens: int
    total_cache_creation_tokens: int
    total_runtime_ms: int

    def public(self) -> dict[str, Any]:
        """As clients see them, but for the counts of calls."""
        return {
            "total_cost_micros": self.total_cost_micros,
            "total_input_tokens": self.total_input_tokens,
            "total_output_tokens": self.total_output_tokens,
            "total_cache_read_tokens": self.total_cache_read_tokens,
            "total_cache_creation_tokens": self.total_cache_creation_tokens,
            "total_runtime_ms": self.total_runtime_ms,
        }


@dataclass(frozen=True, slots=True)
class OfModel:
    """What was spent on one model, under the name that its config has now."""

    model_config_id: UUID | None
    display_name: str | None
    provider: str
    model: str
    sums: Sums

    def public(self) -> dict[str, Any]:
        config = self.model_config_id
        return {
            "model_config_id": None if config is None else str(config),
            "display_name": self.display_name or self.model,
            "provider": self.provider,
            "model": self.model,
            "message_count": self.sums.calls,
            **self.sums.public(),
        }


@dataclass(frozen=True, slots=True)
class OfChat:
    """What was spent in one family of chats; no title: it is erased."""

    root_chat_id: UUID
    title: str | None
    sums: Sums

    def public(self) -> dict[str, Any]:
        return {
            "root_chat_id": str(self.root_chat_id),
            "chat_title": self.title,
            "message_count": self.sums.calls,
            **self.sums.public(),
        }


@dataclass(frozen=True, slots=True)
class Spent:
    """What a user spent: in all, by model and by family, the dearest first."""

    total: Sums
    by_model: Sequence[OfModel]
    by_chat: Sequence[OfChat]

    def public(self) -> dict[str, Any]:
        """As clients see it, without the span of time."""
        total = self.total
        return {
            "priced_message_count": total.priced,
            "unpriced_message_count": total.calls - total.priced,
            **total.public(),
            "by_model": [each.public() for each in self.by_model],
            "by_chat": [each.public() for each in self.by_chat],
        }


async def tree_cost(connection: Connection, root_chat_id: UUID) -> TreeCost:
    """What the first chat of a family and all that it spawned cost so far."""
    found = await connection.execute(TREE, (root_chat_id,))
    (row,) = await found.fetchall()
    return TreeCost(*row)


async def ledger_now(connection: Connection) -> datetime:
    """The present by the clock that the ledger's times are of."""
    found = await connection.execute(NOW)
    ((now,),) = await found.fetchall()
    at: datetime = now
    return at


async def spent_by(
    connection: Connection, user_id: UUID, start: datetime, end: datetime
) -> Spent:
    """What a user's calls from `start` on and before `end` cost."""
    found = await connection.execute(SPENT, (user_id, start, end))
    total = Sums(0, 0, 0, 0, 0, 0, 0, 0)
    models: list[OfModel] = []
    chats: list[OfChat] = []
    for row in await found.fetchall():
        by_chat, by_model, root, config, provider, model, *sums, name, title = row
        if by_chat:
            chats.append(OfChat(root, title, Sums(*sums)))
        elif by_model:
            models.append(OfModel(config, name, provider, model, Sums(*sums)))
        else:
            total = Sums(*sums)
    return Spent(total, models, chats)
