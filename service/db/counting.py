"""Cursors that count the statements that they send, by what their connection is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from typing import Any, Self

import psycopg
from psycopg.abc import Params
from psycopg.rows import TupleRow

CHECK = "check"
"""Is this pooled connection alive? An empty query, a round trip all the same."""


class CountedCursor(psycopg.AsyncCursor[TupleRow]):
    """BEGIN and COMMIT are not among what it counts: they go past cursors."""

    __slots__ = ("_purpose", "_statements")

    def __init__(
        self,
        statements: Counter[str],
        purpose: str,
        connection: psycopg.AsyncConnection[Any],
        **options: Any,
    ) -> None:
        self._statements = statements
        self._purpose = purpose
        super().__init__(connection, **options)

    def execute(
        self,
        query: Any,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Coroutine[Any, Any, Self]:
        """As psycopg's. Not a coroutine itself, which would cost more than to count."""
        self._statements[self._purpose if query else CHECK] += 1
        return super().execute(query, params, prepare=prepare, binary=binary)
