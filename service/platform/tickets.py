"""Rows of ops.stream_tickets: tickets for one stream, by hash, used once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.db.pool import Connection
from service.platform.tokens import FoundToken

INSERT = """
INSERT INTO ops.stream_tickets (ticket_hash, token_id, chat_id, expires_at)
VALUES (%s, %s, %s, clock_timestamp() + %s)
RETURNING expires_at
"""

USE = """
WITH used AS (
  DELETE FROM ops.stream_tickets WHERE ticket_hash = %s
  RETURNING token_id, chat_id, expires_at > clock_timestamp() AS fresh
)
SELECT used.chat_id, t.id, t.user_id, t.scopes, t.expires_at, t.revoked_at,
  ARRAY(
    SELECT m.organization_id FROM platform.memberships AS m
    WHERE m.user_id = t.user_id
  )
FROM used JOIN platform.tokens AS t ON t.id = used.token_id
WHERE used.fresh
"""

SWEEP = "DELETE FROM ops.stream_tickets WHERE expires_at <= clock_timestamp()"


@dataclass(frozen=True, slots=True)
class UsedTicket:
    """What a ticket opened, and the token that it was taken with."""

    chat_id: UUID | None
    token: FoundToken


async def insert_ticket(
    connection: Connection,
    *,
    ticket_hash: bytes,
    token_id: UUID,
    chat_id: UUID | None,
    life: timedelta,
) -> datetime:
    """Keep a ticket by its hash; until when it may be used, by the database's clock."""
    found = await connection.execute(INSERT, (ticket_hash, token_id, chat_id, life))
    row = await found.fetchone()
    assert row is not None  # noqa: S101  RETURNING of one inserted row
    expires_at: datetime = row[0]
    return expires_at


async def use_ticket(connection: Connection, ticket_hash: bytes) -> UsedTicket | None:
    """Use a ticket up; None when it is unknown, used or expired. Of two, one wins."""
    found = await connection.execute(USE, (ticket_hash,))
    row = await found.fetchone()
    if row is None:
        return None
    chat_id, id_, user_id, scopes, expires_at, revoked_at, organizations = row
    token = FoundToken(
        id_, user_id, tuple(scopes), expires_at, revoked_at, tuple(organizations)
    )
    return UsedTicket(chat_id, token)


async def sweep_tickets(connection: Connection) -> int:
    """Remove what has expired; gives the number of rows."""
    return (await connection.execute(SWEEP)).rowcount
