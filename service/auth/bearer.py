"""Bearer tokens: `parley_` and 32 random bytes, known to the database by hash only.

A token is 256 random bits, so one round of SHA-256 is enough, and looking the hash up
in an index tells an attacker nothing about the token. What a token leads to is kept for
a few seconds: a revoked token, or a lost membership, works for CACHE_S at most.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import partial

from service.auth.policy import Subject
from service.db.pool import Pool
from service.errors import Rejection
from service.platform.tokens import FoundToken, find_token

PREFIX = "parley_"

CACHE_S = 5.0
"""How long a revoked token may still work; a client that polls asks once in it."""

CACHE_ENTRIES = 10_000
"""Some 5 MB of tokens in use at the same time; beyond, the oldest are looked up."""

_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_REFUSED = "this token is not valid; take a new one with `parley token create`"


def new_token() -> str:
    """A new secret; show it once, keep only its hash."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """What the database knows a token by."""
    return hashlib.sha256(token.encode()).digest()


def subject_with(found: FoundToken, at: datetime) -> Subject:
    """Whom a token lets in at this time. Raises Rejection `unauthorized`."""
    if not found.valid(at):
        raise Rejection("unauthorized", _REFUSED)
    return Subject(
        user_id=found.user_id,
        organizations=frozenset(found.organizations),
        token_id=found.id,
        scopes=frozenset(found.scopes),
    )


class Bearer:
    """Turns an Authorization header into a subject."""

    def __init__(self, pool: Pool, *, now: Callable[[], datetime]) -> None:
        self._pool = pool
        self._now = now
        self._cache: OrderedDict[bytes, tuple[float, FoundToken]] = OrderedDict()
        self._looking: dict[bytes, asyncio.Task[FoundToken]] = {}

    async def subject(self, authorization: str | None) -> Subject:
        """Who sent this header. Raises Rejection `unauthorized`; the pool's errors."""
        token_hash = hash_token(_parse(authorization))
        found = self._cached(token_hash)
        if found is None:
            found = await self._shared_look(token_hash)
        return subject_with(found, self._now())

    async def _shared_look(self, token_hash: bytes) -> FoundToken:
        """One lookup for all who ask: thousands at once would fill the pool's queue."""
        looking = self._looking.get(token_hash)
        if looking is None:
            looking = asyncio.create_task(self._look(token_hash), name="token")
            self._looking[token_hash] = looking
            looking.add_done_callback(partial(self._looked, token_hash))
        # shielded: one who leaves must not take the others' answer along
        return await asyncio.shield(looking)

    async def _look(self, token_hash: bytes) -> FoundToken:
        async with self._pool.connection() as connection:
            found = await find_token(connection, token_hash)
        if found is None:
            raise Rejection("unauthorized", _REFUSED)
        self._keep(token_hash, found)
        return found

    def _looked(self, token_hash: bytes, looking: asyncio.Task[FoundToken]) -> None:
        del self._looking[token_hash]
        if not looking.cancelled():
            looking.exception()  # seen, also when nobody waits any more

    def _cached(self, token_hash: bytes) -> FoundToken | None:
        entry = self._cache.get(token_hash)
        if entry is None or entry[0] <= _clock():
            return None
        return entry[1]

    def _keep(self, token_hash: bytes, found: FoundToken) -> None:
        self._cache[token_hash] = (_clock() + CACHE_S, found)
        self._cache.move_to_end(token_hash)
        while len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _parse(authorization: str | None) -> str:
    if authorization is None:
        raise Rejection(
            "unauthorized", "a token is needed; send `Authorization: Bearer <token>`"
        )
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or _SHAPE.fullmatch(token) is None:
        raise Rejection("unauthorized", _REFUSED)
    return token
