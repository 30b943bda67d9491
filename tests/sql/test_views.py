"""What people look at when paged."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from service.db.pool import Connection
from tests.sql.batch import append, rows
from tests.sql.conftest import Open


async def test_log_overview_shows_the_head(service: Connection) -> None:
    query = (
        "SELECT head, last_age >= '0', table_bytes > 0, index_bytes > 0,"
        " notification_queue_usage < 0.01 FROM ops.log_overview"
    )
    assert (await rows(service, query))[0][:2] == (0, None)
    await append(service, uuid4(), "a", "b")
    assert await rows(service, query) == [(2, True, True, True, True)]


async def test_projection_lag_counts_events_and_time(
    service: Connection, open_as: Open
) -> None:
    projector = await open_as("projector")
    for _ in range(3):
        await append(service, uuid4(), "a")
    await projector.execute(
        "INSERT INTO ops.projections VALUES ('chats', 2);"
        "INSERT INTO ops.checkpoints (projection, version, position, state, error)"
        " VALUES ('chats', 1, 3, 'running', NULL), ('chats', 2, 1, 'stopped', 'why');"
        "INSERT INTO ops.parked_streams VALUES"
        " ('chats', 2, 'chat', gen_random_uuid(), 1, 1, 'a', 'why')"
    )
    found = await rows(
        service,
        "SELECT version, active, state, position, lag_events, parked_streams, error,"
        " lag_age FROM ops.projection_lag ORDER BY version",
    )
    assert [row[:-1] for row in found] == [
        (1, False, "running", 3, 0, 0, None),
        (2, True, "stopped", 1, 2, 1, "why"),
    ]
    assert found[0][-1] == timedelta(0)
    assert timedelta(0) < found[1][-1] < timedelta(minutes=5)


async def test_lease_overview_shows_silence(service: Connection) -> None:
    chat = uuid4()
    await service.execute(
        "INSERT INTO ops.leases VALUES (%s, 'w', 3, now() - interval '1 minute')",
        [chat],
    )
    ((worker, found, term, silent),) = await rows(
        service, "SELECT worker, chat_id, term, silent_for FROM ops.lease_overview"
    )
    assert (worker, found, term) == ("w", chat, 3)
    assert silent >= timedelta(minutes=1)


async def test_applied_migrations_are_listed(service: Connection) -> None:
    found = await rows(
        service, "SELECT migration FROM ops.applied_migrations ORDER BY applied_at"
    )
    names = [name for (name,) in found]
    assert names[0] == "0001.create-event-log"
    assert names == sorted(names)
