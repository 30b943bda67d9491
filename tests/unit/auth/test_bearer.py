"""The shape of tokens, and headers that are refused without asking the database."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from service.auth.bearer import Bearer, hash_token, new_token
from service.db.pool import Pool
from service.errors import Rejection
from service.platform.tokens import FoundToken

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_tokens_are_long_random_and_named() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(t.startswith("parley_") and len(t) == 50 for t in tokens)


def test_a_hash_does_not_hold_the_token() -> None:
    token = new_token()
    assert hash_token(token) == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", "Basic abc", "Bearer parley_short",
        "Bearer other_" + "x" * 43, "parley_" + "x" * 43,
        "Bearer parley_" + "x" * 44, "Bearer parley_" + "x" * 42 + "\u00e9",
    ],
)  # fmt: skip
async def test_a_header_of_another_shape_never_reaches_the_database(
    header: str | None,
) -> None:
    no_database = cast("Pool", None)
    bearer = Bearer(no_database, now=lambda: NOW)
    with pytest.raises(Rejection) as refused:
        await bearer.subject(header)
    assert refused.value.code == "unauthorized"


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "valid"),
    [
        (None, None, True),
        (NOW + timedelta(seconds=1), None, True),
        (NOW, None, False),
        (NOW - timedelta(days=1), None, False),
        (None, NOW - timedelta(days=1), False),
        (None, NOW + timedelta(days=1), False),
    ],
)
def test_a_token_is_valid_until_it_expires_or_is_revoked(
    expires_at: datetime | None, revoked_at: datetime | None, valid: bool
) -> None:
    token = FoundToken(UUID(int=1), UUID(int=2), (), expires_at, revoked_at, ())
    assert token.valid(NOW) is valid
