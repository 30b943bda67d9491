"""Rows of platform.tokens: who may come in with which hash, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from service.db.pool import Connection

INSERT = """
INSERT INTO platform.tokens (id, user_id, token_hash, name, scopes, expires_at)
VALUES (%s, %s, %s, %s, %s, %s)
"""

FIND = """
SELECT t.id, t.user_id, t.scopes, t.expires_at, t.revoked_at,
  ARRAY(
    SELECT m.organization_id FROM platform.memberships AS m
    WHERE m.user_id = t.user_id
  )
FROM platform.tokens AS t
WHERE t.token_hash = %s
"""

LIST = """
SELECT t.id, u.name, t.name, t.scopes, t.created_at, t.expires_at, t.revoked_at
FROM platform.tokens AS t
JOIN platform.users AS u ON u.id = t.user_id
ORDER BY t.created_at, t.id
"""

REVOKE = """
UPDATE platform.tokens SET revoked_at = %s
WHERE id = %s AND revoked_at IS NULL
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class FoundToken:
    """What a token's hash leads to."""

    id: UUID
    user_id: UUID
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    organizations: tuple[UUID, ...]

    def valid(self, at: datetime) -> bool:
        """Whether it lets somebody in at this time."""
        expired = self.expires_at is not None and self.expires_at <= at
        return self.revoked_at is None and not expired


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A token as its owner sees it; the secret itself is kept nowhere."""

    id: UUID
    user: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def insert_token(
    connection: Connection,
    *,
    token_hash: bytes,
    user_id: UUID,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
) -> UUID:
    """Keep a token by its hash."""
    token_id = uuid4()
    await connection.execute(
        INSERT, (token_id, user_id, token_hash, name, list(scopes), expires_at)
    )
    return token_id


async def find_token(connection: Connection, token_hash: bytes) -> FoundToken | None:
    """The token with this hash, valid or not."""
    cursor = await connection.execute(FIND, (token_hash,))
    row = await cursor.fetchone()
    if row is None:
        return None
    id_, user_id, scopes, expires_at, revoked_at, organizations = row
    return FoundToken(
        id_, user_id, tuple(scopes), expires_at, revoked_at, tuple(organizations)
    )


async def list_tokens(connection: Connection) -> list[ListedToken]:
    """All tokens, oldest first."""
    cursor = await connection.execute(LIST)
    return [
        ListedToken(id_, user, name, tuple(scopes), *times)
        for id_, user, name, scopes, *times in await cursor.fetchall()
    ]


async def revoke_token(connection: Connection, token_id: UUID, *, at: datetime) -> bool:
    """Let nobody in with it from now on; False when there is no such live token."""
    cursor = await connection.execute(REVOKE, (at, token_id))
    return await cursor.fetchone() is not None
