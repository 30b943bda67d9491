"""Rows of platform.providers: servers of models, their addresses and their keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID, uuid4

from psycopg.rows import class_row

from service.db.pool import Connection
from service.platform.changes import update_row

Kind = Literal["openai", "openai_compat", "anthropic"]

KINDS: tuple[Kind, ...] = get_args(Kind)

MAX_KEY_BYTES = 10_240
"""Of an API key; vendors' are some hundred."""

CHANGEABLE = ("display_name", "base_url", "enabled", "api_key_encrypted")

LIST = """
SELECT id, kind, display_name, base_url, enabled, api_key_encrypted, created_at,
  updated_at
FROM platform.providers
WHERE deleted_at IS NULL
ORDER BY created_at, id
"""

INSERT = """
INSERT INTO platform.providers
  (id, kind, display_name, base_url, enabled, api_key_encrypted)
VALUES (%s, %s, %s, %s, %s, %s)
"""

DELETE = """
UPDATE platform.providers
SET deleted_at = clock_timestamp(), api_key_encrypted = NULL
WHERE id = %s AND deleted_at IS NULL
"""

REPLACE_KEY = """
UPDATE platform.providers SET api_key_encrypted = %s
WHERE id = %s AND api_key_encrypted = %s AND deleted_at IS NULL
"""

IN_USE = """
SELECT count(*) FROM platform.model_configs
WHERE provider_id = %s AND deleted_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider that is not deleted."""

    id: UUID
    kind: Kind
    display_name: str
    base_url: str | None
    """None: the vendor's own address."""
    enabled: bool
    api_key_encrypted: bytes | None
    """See service.platform.secrets; None: it needs no key, or has none yet."""
    created_at: datetime
    updated_at: datetime
    """Changes with every change of the row."""


async def list_providers(connection: Connection) -> list[ProviderRow]:
    """All that are not deleted, oldest first."""
    async with connection.cursor(row_factory=class_row(ProviderRow)) as cursor:
        await cursor.execute(LIST)
        return await cursor.fetchall()


async def insert_provider(
    connection: Connection,
    *,
    kind: Kind,
    display_name: str,
    base_url: str | None = None,
    enabled: bool = True,
    api_key_encrypted: bytes | None = None,
) -> UUID:
    """Keep a provider. Raises psycopg's UniqueViolation when the name is taken."""
    provider_id = uuid4()
    await connection.execute(
        INSERT,
        (provider_id, kind, display_name, base_url, enabled, api_key_encrypted),
    )
    return provider_id


async def update_provider(
    connection: Connection, provider_id: UUID, **changes: object
) -> bool:
    """Set columns of CHANGEABLE; False when there is no such provider."""
    return await update_row(
        connection, "providers", provider_id, changes=changes, columns=CHANGEABLE
    )


async def delete_provider(connection: Connection, provider_id: UUID) -> bool:
    """Take a provider away: its models cannot be used any more; its row stays.

    Its key is gone at once, nobody needs it. False when there is no such provider.
    """
    return (await connection.execute(DELETE, [provider_id])).rowcount == 1


async def replace_key(
    connection: Connection, provider_id: UUID, *, old: bytes, new: bytes
) -> bool:
    """Another encryption of the same key; False when it has a new key meanwhile."""
    found = await connection.execute(REPLACE_KEY, (new, provider_id, old))
    return found.rowcount == 1


async def count_models(connection: Connection, provider_id: UUID) -> int:
    """Model configs of a provider that are not deleted."""
    row = await (await connection.execute(IN_USE, [provider_id])).fetchone()
    assert row is not None  # noqa: S101  count(*) always has a row
    return int(row[0])
