"""Providers and model configs by plain SQL, for tests of what the database keeps."""

from __future__ import annotations

from uuid import UUID, uuid4

from service.db.pool import Connection
from tests.sql.batch import rows

PROVIDER = """
INSERT INTO platform.providers (id, kind, display_name, enabled)
VALUES (%s, 'openai', %s, %s)
"""

CONFIG = """
INSERT INTO platform.model_configs
  (id, provider_id, model, display_name, context_limit, enabled, is_default)
VALUES (%s, %s, 'm', %s, 1000, %s, %s)
"""

IS_PROVIDER = "SELECT 1 FROM platform.providers WHERE id = %s"

DEFAULTS = """
SELECT id FROM platform.model_configs WHERE is_default ORDER BY id
"""

USABLE = """
SELECT c.id FROM platform.model_configs AS c
JOIN platform.providers AS p ON p.id = c.provider_id
WHERE c.enabled AND c.deleted_at IS NULL AND p.enabled AND p.deleted_at IS NULL
ORDER BY c.created_at, c.id
"""


async def add_provider(connection: Connection, *, enabled: bool = True) -> UUID:
    """One with a name of its own."""
    provider_id = uuid4()
    await connection.execute(PROVIDER, (provider_id, str(provider_id), enabled))
    return provider_id


async def add_config(
    connection: Connection,
    provider_id: UUID,
    *,
    enabled: bool = True,
    is_default: bool = False,
) -> UUID:
    """One with a name of its own."""
    config_id = uuid4()
    await connection.execute(
        CONFIG, (config_id, provider_id, str(config_id), enabled, is_default)
    )
    return config_id


async def change(connection: Connection, row_id: UUID, setting: str) -> None:
    """UPDATE a config, or a provider, by its id."""
    provider = await rows(connection, IS_PROVIDER, [row_id])
    table = "providers" if provider else "model_configs"
    query = f"UPDATE platform.{table} SET {setting} WHERE id = %s"  # noqa: S608
    assert (await connection.execute(query.encode(), [row_id])).rowcount == 1


async def defaults(connection: Connection) -> list[UUID]:
    """Every config that says it is the default."""
    return [found for (found,) in await rows(connection, DEFAULTS)]


async def usable(connection: Connection) -> list[UUID]:
    """Enabled, not deleted, of an enabled provider; oldest first."""
    return [found for (found,) in await rows(connection, USABLE)]
