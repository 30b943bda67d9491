"""Rows of platform.compaction_thresholds: when a user wants histories shortened."""

from __future__ import annotations

from uuid import UUID

from service.db.pool import Connection

LIST = """
SELECT model_config_id, threshold_percent FROM platform.compaction_thresholds
WHERE user_id = %s ORDER BY model_config_id
"""

SET = """
INSERT INTO platform.compaction_thresholds
  (user_id, model_config_id, threshold_percent)
VALUES (%s, %s, %s)
ON CONFLICT (user_id, model_config_id) DO UPDATE
SET threshold_percent = excluded.threshold_percent
"""

CLEAR = """
DELETE FROM platform.compaction_thresholds
WHERE user_id = %s AND model_config_id = %s
"""


async def list_thresholds(connection: Connection, user_id: UUID) -> dict[UUID, int]:
    """A user's thresholds in percent of the context, by model config."""
    return dict(await (await connection.execute(LIST, [user_id])).fetchall())


async def update_threshold(
    connection: Connection, user_id: UUID, model_config_id: UUID, *, percent: int
) -> None:
    """Set one, 0 to 100; 100: never shortened by itself.

    Raises psycopg's ForeignKeyViolation without such a user or config.
    """
    await connection.execute(SET, (user_id, model_config_id, percent))


async def delete_threshold(
    connection: Connection, user_id: UUID, model_config_id: UUID
) -> bool:
    """Back to what the config says; False when there was none."""
    found = await connection.execute(CLEAR, (user_id, model_config_id))
    return found.rowcount == 1
