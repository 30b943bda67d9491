"""Rows of platform.settings and platform.user_settings: JSON values by key.

A stored value is not trusted: whoever reads one parses it, and takes a malformed one
for not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import JsonValue

from service.db.pool import Connection

DEPLOYMENT_PROMPT = "deployment_prompt"
"""{"text": str, "include_default": bool}: what new chats are told."""

MODEL_OVERRIDES = {
    "title": "model_override.title",
    "compaction": "model_override.compaction",
}
"""{"model_config_id": uuid, "reasoning_effort"?: str}, by purpose."""

CUSTOM_PROMPT = "custom_prompt"
"""A user's: {"text": str}."""

LIST = "SELECT key, value FROM platform.settings"

SET = """
INSERT INTO platform.settings (key, value) VALUES (%s, %s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""

UNSET = "DELETE FROM platform.settings WHERE key = %s"

LIST_OF_USER = "SELECT key, value FROM platform.user_settings WHERE user_id = %s"

SET_OF_USER = """
INSERT INTO platform.user_settings (user_id, key, value) VALUES (%s, %s, %s)
ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value
"""

UNSET_OF_USER = "DELETE FROM platform.user_settings WHERE user_id = %s AND key = %s"


async def list_settings(connection: Connection) -> dict[str, JsonValue]:
    """Every setting of the deployment, by key."""
    return dict(await (await connection.execute(LIST)).fetchall())


async def update_setting(
    connection: Connection, key: str, value: Mapping[str, JsonValue]
) -> None:
    """Set one; its version counts up."""
    await connection.execute(SET, (key, Jsonb(value)))


async def delete_setting(connection: Connection, key: str) -> bool:
    """Unset one; False when it was not set."""
    return (await connection.execute(UNSET, [key])).rowcount == 1


async def list_user_settings(
    connection: Connection, user_id: UUID
) -> dict[str, JsonValue]:
    """Every setting of a user, by key."""
    return dict(await (await connection.execute(LIST_OF_USER, [user_id])).fetchall())


async def update_user_setting(
    connection: Connection, user_id: UUID, key: str, *, value: Mapping[str, JsonValue]
) -> None:
    """Set one; psycopg's ForeignKeyViolation when there is no such user."""
    await connection.execute(SET_OF_USER, (user_id, key, Jsonb(value)))


async def delete_user_setting(connection: Connection, user_id: UUID, key: str) -> bool:
    """Unset one; False when it was not set."""
    return (await connection.execute(UNSET_OF_USER, (user_id, key))).rowcount == 1
