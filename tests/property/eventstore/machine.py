"""State machines on a database of their own, cloned for each history."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from psycopg import sql

from tests.fixtures.servers import Server
from tests.integration.eventstore.appends import PATIENCE_S, assert_intact

T = TypeVar("T")


class OnPostgres(RuleBasedStateMachine):
    """`run` sets `server` and `template`; what `exit` holds is left at the end."""

    server: Server
    template: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.exit = AsyncExitStack()
        self.name = f"parley_machine_{secrets.token_hex(6)}"
        self._admin("CREATE DATABASE {} TEMPLATE {}", self.name, self.template)
        self.database = self.server.database(self.name)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def patiently() -> T:
            async with asyncio.timeout(PATIENCE_S):
                return await work

        return self.runner.run(patiently())

    def teardown(self) -> None:
        try:
            self.run(self.exit.aclose())
            self.run(assert_intact(self.database))
        finally:
            self.runner.close()
            self._admin("DROP DATABASE {} WITH (FORCE)", self.name)

    def _admin(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]


def run(
    machine: type[OnPostgres],
    server: Server,
    template: str,
    *,
    examples: int,
    steps: int,
) -> None:
    """Some histories of the machine."""
    run_state_machine_as_test(
        type("On", (machine,), {"server": server, "template": template}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            # a failing history is replayed as it is: each try takes a database
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
