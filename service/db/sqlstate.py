"""What the database says went wrong: SQLSTATEs, read in one place.

Class `ES` is ours, raised by the functions in sql/; psycopg knows no exceptions for it
and delivers a plain DatabaseError with the code. DETAIL is JSON, HINT the remedy.
"""

from __future__ import annotations

import psycopg

ES_FORBIDDEN = "ES403"
"""Something that nobody may do: changing or removing what is in the log."""
ES_NOT_FOUND = "ES404"
ES_CONFLICT = "ES409"
ES_MALFORMED = "ES422"
"""Arguments that do not fit together; the same call fails again."""
ES_FAULT = "ES500"
"""A call that was set up wrongly: isolation level, a missing head row."""

_LOST = frozenset({"57P01", "57P02", "57P03", "57P05"})
"""Shut down by an administrator or a crash, not up yet, idle session ended."""

_LOST_CLASSES = ("08",)
"""Connection exceptions."""


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of a database error; None when the server sent none."""
    return error.sqlstate if isinstance(error, psycopg.Error) else None


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that nothing is known about the statement.

    True too while the server starts up or shuts down: a new connection, later, helps.
    """
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = error.sqlstate
    return state is None or state in _LOST or state.startswith(_LOST_CLASSES)
