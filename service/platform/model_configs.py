"""Rows of platform.model_configs: models that chats may use, limits and prices.

Which one is the default is kept by the database: exactly one of the usable ones.
Setting is_default clears the other; deleting, disabling or unsetting it elects the
oldest other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import JsonValue

from service.db.pool import Connection
from service.platform.changes import update_row

CHANGEABLE = (
    "model", "display_name", "enabled", "is_default", "context_limit",
    "compaction_threshold", "max_output_tokens", "temperature", "reasoning_effort",
    "max_reasoning_effort", "options", "price_input", "price_output",
    "price_cache_read", "price_cache_write",
)  # fmt: skip

LIST = """
SELECT id, provider_id, model, display_name, enabled, is_default, context_limit,
  compaction_threshold, max_output_tokens, temperature::float8 AS temperature,
  reasoning_effort, max_reasoning_effort, options, price_input, price_output,
  price_cache_read, price_cache_write, created_at, updated_at
FROM platform.model_configs
WHERE deleted_at IS NULL
ORDER BY created_at, id
"""

DELETE = """
UPDATE platform.model_configs SET deleted_at = clock_timestamp()
WHERE id = %s AND deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class ModelConfigRow:
    """A model config that is not deleted; enabled or not."""

    id: UUID
    provider_id: UUID
    model: str
    display_name: str
    enabled: bool
    is_default: bool
    context_limit: int
    compaction_threshold: int
    max_output_tokens: int | None
    temperature: float | None
    reasoning_effort: str | None
    max_reasoning_effort: str | None
    options: Mapping[str, JsonValue] = field(repr=False)
    price_input: Decimal | None
    """US dollars per million tokens, like the others; None: no price."""
    price_output: Decimal | None
    price_cache_read: Decimal | None
    price_cache_write: Decimal | None
    created_at: datetime
    updated_at: datetime
    """Changes with every change of the row."""


async def list_model_configs(connection: Connection) -> list[ModelConfigRow]:
    """All that are not deleted, oldest first."""
    async with connection.cursor(row_factory=class_row(ModelConfigRow)) as cursor:
        await cursor.execute(LIST)
        return await cursor.fetchall()


async def insert_model_config(
    connection: Connection,
    *,
    provider_id: UUID,
    model: str,
    context_limit: int,
    display_name: str | None = None,
    **columns: object,
) -> UUID:
    """Keep a config, with columns of CHANGEABLE; what is left out has its default.

    Raises psycopg's UniqueViolation for the same model under the same name,
    ForeignKeyViolation without such a provider, CheckViolation out of bounds.
    """
    if unknown := sorted(set(columns) - set(CHANGEABLE)):
        raise ValueError(f"model_configs has no column {unknown[0]!r} to set")
    config_id = uuid4()
    row = {
        "id": config_id,
        "provider_id": provider_id,
        "model": model,
        "context_limit": context_limit,
        "display_name": display_name or model,
        **_encoded(columns),
    }
    query = sql.SQL("INSERT INTO platform.model_configs ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() for _ in row),
    )
    await connection.execute(query, list(row.values()))
    return config_id


async def update_model_config(
    connection: Connection, config_id: UUID, **changes: object
) -> bool:
    """Set columns of CHANGEABLE; False when there is no such config."""
    return await update_row(
        connection,
        "model_configs",
        config_id,
        changes=_encoded(changes),
        columns=CHANGEABLE,
    )


async def delete_model_config(connection: Connection, config_id: UUID) -> bool:
    """Take a config away; its row stays for cost reports. False when there is none."""
    return (await connection.execute(DELETE, [config_id])).rowcount == 1


def _encoded(columns: Mapping[str, object]) -> dict[str, object]:
    return {
        name: Jsonb(value) if name == "options" else value
        for name, value in columns.items()
    }
