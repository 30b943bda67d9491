"""Whose fault an error is, and how it is told without what a user wrote."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from projections.apply import Poisoned, describe, is_poison
from projections.page import decode_item
from service.domain.upcasters import CURRENT
from tests import builders as b
from tests.unit.projections.log import Log

SECRET = "my diary"


@pytest.mark.parametrize(
    ("error", "blames_event"),
    [
        (KeyError(SECRET), True),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), True),
        (psycopg.DataError(SECRET), True),
        (errors.NotNullViolation(SECRET), True),
        (errors.UntranslatableCharacter(SECRET), True),
        (errors.ProgramLimitExceeded(SECRET), True),
        (errors.UndefinedTable(SECRET), False),
        (errors.InsufficientPrivilege(SECRET), False),
        (errors.DeadlockDetected(SECRET), False),
        (errors.DiskFull(SECRET), False),
        (errors.AdminShutdown(SECRET), False),
        (psycopg.OperationalError(SECRET), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_the_data_is_blamed_on_an_event(
    error: Exception, blames_event: bool
) -> None:
    assert is_poison(error) is blames_event
    assert SECRET not in describe(error)


def test_description_says_where_it_went_wrong() -> None:
    def project() -> None:
        raise KeyError(SECRET)

    try:
        project()
    except KeyError as error:
        told = describe(error)
    assert told.startswith(f"KeyError in {__name__}.project:")


def test_wrong_shape_is_told_by_its_fields() -> None:
    log = Log()
    (entry,) = log.append(b.CHAT, b.user())
    assert entry.recorded.data is not None
    entry.recorded.data["role"] = SECRET
    error = decode_item(entry.recorded, frozenset(CURRENT)).error
    assert error is not None
    assert describe(error) == "ValidationError (role: literal_error)"


def test_poison_names_the_event_and_the_way_out() -> None:
    log = Log()
    (entry,) = log.append(b.CHAT, b.user())
    told = str(Poisoned("messages", entry.recorded, "KeyError"))
    assert told == (
        "projection 'messages' cannot take 'message_appended' at position 1 "
        f"(chat {b.CHAT}, version 1): KeyError; mend the projection and retry"
    )
