"""A purge in the middle of a turn: the worker lets go, and writes nothing more."""

from __future__ import annotations

from service.agent.runner import Outcome
from service.db.pool import connect
from service.eventstore import store
from service.eventstore.records import StreamName
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.purging import purge
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import Gated, hand


async def test_a_purged_chat_is_left_at_once(stack: Stack) -> None:
    provider = Gated()
    async with hand(stack, provider=provider) as worker:
        chat = await ChatByHand.create(stack)
        await provider.asked.wait()
        await purge(stack.database, chat.id)
        # the model is still waited for: it is the log that ends this
        left = await worker.worker.signals.left.wait()
        assert left == (chat.id, Outcome.LOST)
    async with await connect(stack.database, role="service", name="test") as connection:
        events = await store.read_stream(connection, StreamName("chat", chat.id), 0)
        leases = await connection.execute("SELECT chat_id FROM ops.leases")
        assert await leases.fetchall() == []
    assert events[-1].type == "stream_purged"
    assert {event.type for event in events[:-1]} == {"erased"}


async def test_what_a_worker_appends_names_what_it_answers_to(stack: Stack) -> None:
    """es.explain_event follows these from the answer back to the question."""
    async with hand(stack) as worker:
        chat = await ChatByHand.create(stack)
        await worker.worker.signals.left.wait()
    async with await connect(stack.database, role="dba", name="test") as connection:
        cursor = await connection.execute(
            "SELECT x.relation, x.type FROM es.events AS e,"
            " es.explain_event(e.position) AS x"
            " WHERE e.type = 'turn_finished' ORDER BY x.position"
        )
        found = await cursor.fetchall()
        cursor = await connection.execute(
            "SELECT DISTINCT split_part(metadata ->> 'causation_id', ':', 1)"
            " FROM es.events WHERE metadata ->> 'actor' LIKE 'worker:%'"
        )
        assert await cursor.fetchall() == [(str(chat.id),)]
    causes = [kind for relation, kind in found if relation.startswith("cause")]
    assert causes[0] == "message_appended"
    assert causes[-1] == "step_committed"
    assert found[-1][1] in ("turn_finished", "run_abandoned")
