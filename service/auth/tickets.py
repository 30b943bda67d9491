"""Tickets: what a browser's EventSource, which sends no header, opens one stream with.

A ticket is taken with a token, opens one chat (or the feed of all chats) once, within a
minute, and has its token's rights. So a URL never holds anything of lasting worth.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn
from uuid import UUID

import psycopg
import psycopg_pool

from service.auth.bearer import subject_with
from service.auth.policy import Subject
from service.db.pool import Pool
from service.errors import Rejection
from service.platform.tickets import insert_ticket, sweep_tickets, use_ticket

logger = logging.getLogger(__name__)

PREFIX = "ticket_"

LIFE = timedelta(seconds=60)
"""From taking a ticket to opening the stream; a page needs a second."""

SWEEP_S = 60.0
"""Unused tickets are rare; their rows stay for two minutes at most."""

_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_REFUSED = "this ticket was used, has expired or opens something else; take a new one"


class Tickets:
    """Gives tickets out and lets their bearers in, once; `run` sweeps."""

    def __init__(
        self, pool: Pool, *, now: Callable[[], datetime], life: timedelta = LIFE
    ) -> None:
        self._pool = pool
        self._now = now
        self._life = life

    async def issue(
        self, subject: Subject, chat_id: UUID | None
    ) -> tuple[str, datetime]:
        """A new ticket and until when it is good; None: for the feed of all chats."""
        ticket = PREFIX + secrets.token_urlsafe(32)
        async with self._pool.connection() as connection:
            expires_at = await insert_ticket(
                connection,
                ticket_hash=_hash(ticket),
                token_id=subject.token_id,
                chat_id=chat_id,
                life=self._life,
            )
        return ticket, expires_at

    async def subject(self, ticket: str, chat_id: UUID | None) -> Subject:
        """Who took this ticket, which is used up. Raises Rejection `unauthorized`."""
        if _SHAPE.fullmatch(ticket) is None:
            raise Rejection("unauthorized", _REFUSED)
        async with self._pool.connection() as connection:
            used = await use_ticket(connection, _hash(ticket))
        if used is None or used.chat_id != chat_id:
            raise Rejection("unauthorized", _REFUSED)
        return subject_with(used.token, self._now())

    async def run(self) -> NoReturn:
        """Remove expired tickets now and then; until cancelled."""
        while True:
            # replicas that start together do not sweep together
            await asyncio.sleep(SWEEP_S * random.uniform(0.5, 1.5))
            try:
                async with self._pool.connection() as connection:
                    await sweep_tickets(connection)
            except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
                logger.warning("tickets not swept", extra={"reason": str(error)})


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
