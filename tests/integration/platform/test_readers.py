"""Everybody who reads the log copes with changes of the platform between chats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest

from projections.diff import diff
from projections.projection import Projection
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.tables import make_read_models
from projections.versions import active, versions
from service import wire
from service.db.pool import Connection, Database, connect
from service.db.sqlstate import ES_NOT_FOUND, sqlstate_of
from service.testing.model import Pause
from service.testing.parley import Parley
from tests import builders as b
from tests.integration.platform.commands import Operator
from tests.integration.projections.world import World, projecting
from tests.sql.batch import rows, value
from tests.sql.models import add_config, add_provider, change

EVENTS = "SELECT count(*) FROM es.events WHERE category = 'platform'"


async def alter(connection: Connection) -> UUID:
    """A provider with a key and a model, changed: four events and more."""
    provider = await add_provider(connection)
    await add_config(connection, provider)
    await change(connection, provider, "api_key_encrypted = 'sealed'")
    await connection.execute("INSERT INTO platform.settings VALUES ('k', '{\"a\": 1}')")
    await connection.execute("DELETE FROM platform.settings")
    return provider


def operator_of(parley: Parley, folder: Path) -> Operator:
    prefix = parley.environ["PARLEY_ROLE_PREFIX"]
    return Operator(Database(parley.database_url, prefix), folder)


# Read models.


@pytest.fixture(params=[1, 500], ids=["one", "many"])
def batch_size(request: pytest.FixtureRequest) -> int:
    """Events a batch: pages that hold nothing else, and such that do."""
    return int(request.param)


async def world_of(database: Database, writer: Connection, admin: Connection) -> World:
    """Chats, and changes of the platform before, between and after them."""
    await make_read_models(database, PROJECTIONS)
    world = World(database, writer, admin)
    provider = await alter(writer)
    for number in (1, 2):
        await world.append(UUID(int=number), *b.an_idle_chat())
        await alter(writer)
    await world.execute(
        "SELECT es.purge_stream('platform', %s, 'alice', 'asked')", provider
    )
    return world


async def test_projector_passes_them_over(
    database: Database, service: Connection, admin: Connection, batch_size: int
) -> None:
    world = await world_of(database, service, admin)
    async with projecting(world, batch_size=batch_size) as projector:
        await projector.catches_up()
        assert projector.runner.tally.parked == 0
        assert projector.runner.tally.stopped == 0
    head = await world.head()
    found = await world.rows("SELECT DISTINCT position, state FROM ops.checkpoints")
    assert found == [(head, "running")]
    assert await world.rows("SELECT count(*) FROM read.chats") == [(2,)]
    assert await world.rows("SELECT count(*) FROM ops.parked_streams") == [(0,)]
    assert await world.rows("SELECT * FROM es.who_is_behind()") == []


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)
async def test_rebuild_passes_them_over(
    database: Database,
    service: Connection,
    admin: Connection,
    projection: Projection,
) -> None:
    world = await world_of(database, service, admin)
    async with projecting(world) as projector:
        await projector.catches_up()
    async with await connect(database, role="projector", name="test") as connection:
        old = await active(connection, projection.name)
        new = await rebuild(database, projection)
        assert (await diff(connection, projection, old, new)).empty
        found = await versions(connection, projection.name, new.version)
    assert found[0].place.position == await world.head()


# A running service: tail, feed, worker, caches, commands.


async def test_service_goes_on_while_the_platform_changes(
    fresh_parley: Parley, tmp_path: Path
) -> None:
    """In the middle of a turn; then the whole log is shown, and no secret."""
    pause = Pause()
    fresh_parley.model.answer(["one ", pause, "two"])
    chat = await fresh_parley.create("count")
    await fresh_parley.shows(chat, lambda v: v.preview and v.preview.text == "one ")
    operator = operator_of(fresh_parley, tmp_path)
    added = await operator.does(
        "provider", "add", "openai", "--api-key-stdin", "--disabled", stdin="sk-secret"
    )
    pause.release()
    assert (await fresh_parley.turn_finished(chat)).answer == "one two"
    fresh_parley.model.answer("three")
    await fresh_parley.send(chat, "go on")
    assert (await fresh_parley.turn_finished(chat)).answer == "three"

    events = await feed(operator, fresh_parley.url)
    (changed,) = [event for event in events if event["category"] == "platform"]
    assert changed["type"] == "provider_changed"
    assert (changed["stream_id"], changed["version"]) == (added["id"], 1)
    assert changed["data"]["op"] == "insert"
    assert changed["data"]["row"]["has_api_key"]
    assert changed["metadata"]["actor"] == "cli"
    assert "api_key_encrypted" not in changed["data"]["row"]
    types = [event["type"] for event in events if event["stream_id"] == chat["id"]]
    assert types.count("turn_finished") == 2


async def feed(operator: Operator, url: str) -> list[dict[str, Any]]:
    """GET /api/v1/events, page by page, as somebody who may audit."""
    made = await operator.does("token", "create", "--scope", "audit")
    headers = {"authorization": f"Bearer {made['token']}"}
    found: list[dict[str, Any]] = []
    async with httpx2.AsyncClient(base_url=url, headers=headers) as http:
        after = "0"
        while True:
            query = {"after": after, "limit": 3}
            answer = await http.get("/api/v1/events", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            if not page["events"]:
                return found
            found += page["events"]
            after = page["next"]


async def test_commands_show_streams_of_the_platform(
    operator: Operator, service: Connection, tmp_path: Path
) -> None:
    provider = await alter(service)
    count = await value(service, EVENTS)
    told = await operator.run("events", "tail", "--no-follow", "-n", "100")
    assert len(told.out.splitlines()) == count
    assert f"platform {provider}" in told.out
    assert f"insert {provider}" in told.out  # its name is its id
    assert "delete k" in told.out
    shown = await operator.run("events", "show", str(provider))
    assert (shown.code, len(shown.out.splitlines())) == (0, 2)
    ran = await operator.run("events", "show", str(provider), "--json")
    assert [wire.loads(line)["version"] for line in ran.out.splitlines()] == [1, 2]
    found = await operator.does("events", "diff", str(provider), "1", "2")
    paths = {each["path"] for each in found["differences"]}
    assert paths == {"has_api_key", "updated_at"}
    assert (await operator.does("events", "verify"))["whole"]
    assert (await operator.does("events", "verify", str(provider)))["whole"]
    file = tmp_path / "log.ndjson"
    assert (await operator.run("events", "export", str(file))).code == 0
    await change(service, provider, "enabled = false")
    assert (await operator.run("events", "export", str(file), "--resume")).code == 0
    lines = [wire.loads(line) for line in file.read_bytes().splitlines()]
    assert len(lines) == await value(service, EVENTS)
    assert "sealed" not in file.read_text()


async def test_commands_show_a_row_that_is_gone_or_erased(
    operator: Operator, service: Connection, admin: Connection
) -> None:
    await alter(service)
    ((stream,),) = await rows(
        service, "SELECT DISTINCT stream_id FROM es.events WHERE type ~ '^setting'"
    )
    found = await operator.does("events", "diff", str(stream), "1", "2")
    assert all("after" not in each for each in found["differences"])
    await admin.execute(
        "SELECT es.purge_stream('platform', %s, 'alice', 'asked')", [stream]
    )
    shown = await operator.run("events", "show", str(stream))
    assert (shown.code, len(shown.out.splitlines())) == (0, 3)
    same = await operator.does("events", "diff", str(stream), "1", "3")
    assert same["differences"] == []
    assert (await operator.does("events", "verify", str(stream)))["whole"]


# Functions for people.


async def test_functions_for_people_show_them(service: Connection) -> None:
    provider = await alter(service)
    head = await value(service, EVENTS)
    verified = "SELECT count(*) FROM es.verify('platform', %s)"
    assert await value(service, verified, [provider]) == 0
    checked = "SELECT count(*) FROM es.verify_positions(1, %s)"
    assert await value(service, checked, [head]) == 0
    found = await rows(
        service,
        "SELECT relation, version, type, actor, detail FROM es.explain_event(1)",
    )
    assert found == [("this", 1, "provider_changed", "system", f"insert, {provider}")]
    details = await rows(
        service,
        "SELECT e.detail FROM generate_series(1, %s) AS p (at),"
        " es.explain_event(p.at) AS e WHERE e.relation = 'this' ORDER BY p.at",
        [head],
    )
    assert [detail for (detail,) in details][-2:] == ["insert, k", "delete, k"]


async def test_functions_for_chats_find_none(service: Connection) -> None:
    provider = await alter(service)
    timeline = "SELECT count(*) FROM es.chat_timeline(%s)"
    assert await value(service, timeline, [provider]) == 0
    with pytest.raises(psycopg.DatabaseError) as caught:
        await rows(service, "SELECT es.state_at(%s)", [provider])
    assert sqlstate_of(caught.value) == ES_NOT_FOUND


async def test_log_is_read_in_whole_appends(service: Connection) -> None:
    """Three streams in one append: a page does not end within a stream's part."""
    async with service.transaction():
        provider = await alter(service)
        await change(service, provider, "enabled = false")
    seen: Sequence[Any] = await rows(
        service, "SELECT stream_id, version, append_last FROM es.read_log(0, 1)"
    )
    assert seen[-1][1] == seen[-1][2]
    assert seen[0][0] == provider
