"""The pytest plugin `parley`: fixtures for tests against a running Parley.

Loaded by pytest in every project that has Parley installed: it imports nothing of the
service until a test asks for a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from service.testing.background import Background
    from service.testing.parley import Parley, StartParley
    from service.testing.postgres import Server
    from service.testing.running import Running


@pytest.fixture(scope="session")
def parley_background() -> Iterator[Background]:
    """The event loop, in a thread, that Parley runs in; inner part of `parley`."""
    from service.testing.background import Background

    with Background() as background:
        yield background


@pytest.fixture(scope="session")
def parley_postgres(
    parley_background: Background, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The PostgreSQL of the test run; a project may override it with its own.

    Embedded, or what PARLEY_TEST_POSTGRES or PARLEY_TEST_DATABASE_URL say.
    """
    from service.testing.postgres import open_server

    environ = os.environ  # noqa: TID251  the test kit's own two variables
    folder = tmp_path_factory.mktemp("parley-postgres")
    server = parley_background.enter(open_server(environ, folder))
    yield server
    if server.shared:
        parley_background.run(server.drop_roles())


@pytest.fixture(scope="session")
def parley_service(
    parley_background: Background, parley_postgres: Server
) -> Iterator[Running]:
    """The service that all tests share; inner part of `parley`."""
    with _running(parley_background, parley_postgres, {}) as running:
        yield running


@pytest.fixture
def parley(parley_service: Running, parley_background: Background) -> Iterator[Parley]:
    """A running Parley, with a user and a scripted model for this test alone.

    Other tests share its database; none of them sees this user's chats. After the test
    what still runs is interrupted.
    """
    from service.testing.parley import Parley

    parley = Parley(parley_service, parley_background)
    yield parley
    parley.settle()


@pytest.fixture(scope="session")
def start_parley(parley_background: Background, parley_postgres: Server) -> StartParley:
    """Starts a Parley on a new database: `with start_parley(lease_s=2) as parley`."""
    from service.testing.parley import Parley

    @contextmanager
    def start(**settings: object) -> Iterator[Parley]:
        with _running(parley_background, parley_postgres, settings) as running:
            yield Parley(running, parley_background)

    return start


@pytest.fixture
def fresh_parley(start_parley: StartParley) -> Iterator[Parley]:
    """A Parley on a database of this test alone; `parley` is quicker."""
    with start_parley() as parley:
        yield parley


@contextmanager
def _running(
    background: Background, server: Server, settings: dict[str, object]
) -> Iterator[Running]:
    """A service for the time of a fixture, run by the background loop."""
    from service.testing.running import run_on_new_database

    manager = run_on_new_database(server, settings)
    running = background.run(manager.__aenter__())
    try:
        yield running
    finally:
        background.run(manager.__aexit__(None, None, None))
