"""Users and what they belong to (schema platform)."""

from __future__ import annotations

from uuid import UUID

from service.db.pool import Connection

FIRST_USER = UUID("00000000-0000-4000-8000-000000000001")
"""The user whom a first start makes; its id is fixed, so that replicas that start
together make one user and not several."""

FIRST_USER_NAME = "owner"

ENSURE_USER = """
WITH made AS (
  INSERT INTO platform.users (id, name)
  VALUES (%(id)s, %(name)s)
  ON CONFLICT (id) DO NOTHING
  RETURNING id
)
INSERT INTO platform.memberships (user_id, organization_id, role)
SELECT made.id, o.id, 'owner'
FROM made
CROSS JOIN platform.organizations AS o
WHERE o.is_default
ON CONFLICT DO NOTHING
"""

FIND_USER = "SELECT id FROM platform.users WHERE name = %s ORDER BY created_at LIMIT 2"


async def ensure_first_user(connection: Connection) -> UUID:
    """Make the first user and its membership, unless it is there already."""
    return await ensure_user(connection, FIRST_USER, name=FIRST_USER_NAME)


async def ensure_user(connection: Connection, user_id: UUID, *, name: str) -> UUID:
    """Make a user in the default organization, unless the id is there already.

    A membership that was taken away later does not come back.
    """
    await connection.execute(ENSURE_USER, {"id": user_id, "name": name})
    return user_id


async def find_user(connection: Connection, name: str) -> list[UUID]:
    """Ids of the users with this name, two at most: none, the one, or ambiguous."""
    cursor = await connection.execute(FIND_USER, (name,))
    return [row[0] for row in await cursor.fetchall()]
