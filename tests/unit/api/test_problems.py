"""The list of problems is a contract; every refusal of the domain is on it."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

import service
from service import wire
from service.api.problems import PROBLEMS, answer, describe, invalid
from service.errors import (
    AppenderFull,
    AppendUnknown,
    BadEvent,
    DatabaseAway,
    FieldError,
    FutureEvent,
    KeyReused,
    Rejection,
    StreamPurged,
    WrongExpectedVersion,
)
from service.log import log_context
from tests.fixtures.golden import Golden

SOURCES = Path(service.__file__).parent


def test_slugs_are_those_of_the_golden_file(golden: Golden) -> None:
    lines = [f"{kind.status} {slug}: {kind.title}" for slug, kind in PROBLEMS.items()]
    golden("problems.txt", "\n".join(sorted(lines)) + "\n")


def test_every_code_that_is_rejected_with_has_a_problem() -> None:
    codes = set()
    for path in SOURCES.rglob("*.py"):
        codes |= set(re.findall(r'Rejection\(\s*"([a-z-]+)"', path.read_text()))
    assert codes
    assert codes <= set(PROBLEMS)


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (KeyReused(), "idempotency-key-reused"),
        (Rejection("queue-full", "no"), "queue-full"),
        (Rejection("never-heard-of", "no"), "internal"),
        (HTTPException(404), "not-found"),
        (HTTPException(405), "method-not-allowed"),
        (HTTPException(418), "internal"),
        (StreamPurged("gone"), "chat-not-found"),
        (FutureEvent("v9"), "newer-event"),
        (WrongExpectedVersion("chat-1", 1, 2), "unavailable"),
        (AppenderFull("full"), "overloaded"),
        (AppendUnknown("?"), "outcome-unknown"),
        (DatabaseAway("away"), "unavailable"),
        (PoolTimeout("none"), "unavailable"),
        (psycopg.OperationalError("refused"), "unavailable"),
        (BadEvent("bad"), "internal"),
        (ValueError("secret"), "internal"),
    ],
)
def test_each_exception_has_its_problem(error: Exception, slug: str) -> None:
    assert describe(error).slug == slug


def test_an_answer_is_a_problem_document() -> None:
    with log_context(correlation_id="r1"):
        response = answer(invalid(FieldError("content.0", "is wrong")))
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert wire.loads(response.body) == {
        "type": "/problems/invalid-request",
        "title": "The request has fields that are wrong",
        "status": 400,
        "detail": "content.0: is wrong",
        "errors": [{"field": "content.0", "detail": "is wrong"}],
        "request_id": "r1",
    }


def test_what_may_pass_says_when_to_come_back() -> None:
    response = answer(DatabaseAway("away"))
    assert int(response.headers["retry-after"]) > 0
    assert answer(Rejection("unauthorized", "no")).headers["www-authenticate"]
