"""pg_dump and restore into a new server: nothing is renumbered, the service goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.db.guard import Guard
from service.db.migrate import migrate, schema_state
from service.db.pool import connect
from service.domain.commands.chat import StartAttempt
from service.errors import Rejection
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.dba.conftest import Site, stack_on
from tests.integration.stream.test_follow import a_whole_turn, seen

LOG = "SELECT position, digest FROM es.events ORDER BY position"

CHECKPOINTS = "SELECT projection, version, position, digest, state FROM ops.checkpoints"

LIST = "SELECT id, status, version FROM read.chats ORDER BY id"

RIGHTS = """
SELECT p.oid::regprocedure::text, pg_get_userbyid(p.proowner), p.proacl::text
FROM pg_proc AS p WHERE p.pronamespace::regnamespace::text IN ('es', 'ops') ORDER BY 1
"""


async def restore(home: Site, spare: Site, folder: Path) -> None:
    """As sql/README.md says it."""
    roles, dump = str(folder / "roles.sql"), str(folder / "parley.dump")
    await home.run(
        "pg_dumpall", "--roles-only", "--no-role-passwords", f"--file={roles}"
    )
    await home.run(
        "pg_dump", "--format=custom", "--no-unlogged-table-data", f"--file={dump}"
    )
    await spare.run("psql", "--quiet", f"--file={roles}")
    await spare.run("pg_restore", "--exit-on-error", "--single-transaction", dump)


async def held_chat(stack: Stack) -> ChatByHand:
    """One turn done, the next one in a worker's hands."""
    chat = await ChatByHand.create(stack)
    await a_whole_turn(chat)
    await chat.send("go on")
    await chat.acquire()
    return chat


async def test_a_restored_service_goes_on_where_it_was(
    home: Site, spare: Site, folder: Path, guard: Guard
) -> None:
    async with stack_on(home, guard) as stack:
        chat = await held_chat(stack)
        fence = await chat._fence()
        async with stack.follow(chat.id) as client:
            await client.until(seen("caught_up"))
    await home.project()
    await restore(home, spare, folder)
    for same in (LOG, CHECKPOINTS, LIST, RIGHTS):
        assert await spare.rows(same) == await home.rows(same)
    head = len(await home.rows(LOG))
    assert await spare.ask("SELECT * FROM es.verify_positions(1, {})", head) == ""
    said: list[str] = []
    await migrate(spare.database, say=said.append)
    assert said == []
    async with await connect(spare.database, role="service", name="test") as opened:
        assert (await schema_state(opened)).current

    async with stack_on(spare, guard) as stack:
        chat.move(stack)
        async with stack.follow(chat.id, after=client.last_id) as again:
            await again.until(seen("caught_up"))
            await chat.acquire()
            with pytest.raises(Rejection) as stale:
                await chat.execute(StartAttempt(kind="model", **fence))
            assert stale.value.code == "stale-worker"
            await chat.attempt()
            await chat.commit("here we are")
            await chat.finish()
            await again.until(seen("turn_finished"))
        assert again.named("resync") == []
        assert again.named("snapshot") == []
    await spare.project()
    states = await spare.rows("SELECT DISTINCT state, position FROM ops.checkpoints")
    assert states == [("running", len(await spare.rows(LOG)))]
    assert len(await spare.rows(LOG)) > head


async def test_a_changed_byte_in_a_dump_is_found(
    home: Site, spare: Site, folder: Path, guard: Guard
) -> None:
    async with stack_on(home, guard) as stack:
        chat = await ChatByHand.create(stack, "pay 100 to Ann")
        other = await ChatByHand.create(stack, "pay 200 to Ben")
    roles, dump = folder / "roles.sql", folder / "parley.sql"
    await home.run(
        "pg_dumpall", "--roles-only", "--no-role-passwords", f"--file={roles}"
    )
    await home.run("pg_dump", f"--file={dump}")
    text = dump.read_text()
    at = text.rindex("pay 100")
    dump.write_text(text[:at] + "pay 900" + text[at + 7 :])
    await spare.run("psql", "--quiet", f"--file={roles}")
    await spare.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={dump}")

    assert await home.ask("SELECT * FROM es.verify_positions(1, 1000)") == ""
    ((position, version),) = await spare.rows(
        "SELECT position, version FROM es.events WHERE data::text LIKE '%pay 900%'"
    )
    problem = "the event differs from its payload hash"
    assert await spare.ask("SELECT * FROM es.verify('chat', '{}')", chat.id) == (
        f"{position} | {version} | {problem}\n"
    )
    assert await spare.ask(
        "SELECT position, problem FROM es.verify_positions(1, 9)"
    ) == (f"{position} | {problem}\n")
    assert await spare.ask("SELECT * FROM es.verify('chat', '{}')", other.id) == ""


async def test_who_recomputes_the_hash_breaks_the_chain(
    home: Site, guard: Guard
) -> None:
    """And who recomputes the chain too is found by a digest that is kept elsewhere."""
    async with stack_on(home, guard) as stack:
        chat = await ChatByHand.create(stack, "pay 100 to Ann")
        await a_whole_turn(chat)
    ((kept,),) = await home.rows(
        "SELECT encode(digest, 'hex') FROM es.events ORDER BY position DESC LIMIT 1"
    )
    await home.rows("ALTER TABLE es.events DISABLE TRIGGER _100_forbid_change")
    await home.rows(
        "UPDATE es.events AS e SET data = n.data, payload_hash = es.payload_hash("
        "category, stream_id, version, append_last, type, schema_version,"
        " (extract(epoch FROM recorded_at) * 1000000)::bigint, n.data, metadata)"
        " FROM (SELECT position, replace(data::text, 'pay 100', 'pay 900')::jsonb"
        " AS data FROM es.events) AS n WHERE n.position = e.position AND version = 2"
    )
    broken = await home.ask("SELECT version FROM es.verify('chat', '{}')", chat.id)
    assert broken.startswith("2\n3\n")
    await home.rows(
        "UPDATE es.events AS e SET digest = c.digest FROM (SELECT position,"
        " es.chain('', payload_hash) OVER (ORDER BY version"
        " ROWS UNBOUNDED PRECEDING) AS digest FROM es.events) AS c"
        " WHERE c.position = e.position"
    )
    assert await home.ask("SELECT * FROM es.verify('chat', '{}')", chat.id) == ""
    ((now,),) = await home.rows(
        "SELECT encode(digest, 'hex') FROM es.events ORDER BY position DESC LIMIT 1"
    )
    assert now != kept
