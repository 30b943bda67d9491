"""What a DBA asks about chats with psql: timeline, difference, causes, rates."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from service.db.pool import Connection
from service.domain.events.chat import (
    ChatEvent,
    GenerationAttemptStarted,
    HistoryCompacted,
    ModelRef,
    Usage,
    UsageRecorded,
)
from service.domain.events.data import encode_data
from tests import builders as b
from tests.sql.batch import Batch, append, rows, value
from tests.sql.conftest import Open

AT = "2026-03-01T00:00:0{}.000000Z"

MESSAGE = {"at": AT.format(1), "role": "user", "visibility": "both"}

CREATED = {"at": AT.format(0), "title": "Tea", "labels": {}, "client_type": "api"}


async def chat(service: Connection) -> UUID:
    """A chat that was asked something, taken by a worker, and answered."""
    stream = uuid4()
    parts = [{"type": "text", "text": "How long does green tea take?"}]
    await append(service, stream, "chat_created", data=CREATED, key="u:1")
    await append(
        service,
        stream,
        "message_appended",
        data={**MESSAGE, "parts": parts},
        metadata={"actor": "user:1", "correlation_id": "r1"},
    )
    await append(
        service,
        stream,
        "run_acquired",
        "generation_attempt_started",
        data={
            "at": AT.format(2),
            "worker": "w",
            "term": 1,
            "epoch": 2,
            "attempt": 1,
            "kind": "model",
        },
        metadata={"actor": "worker:w", "causation_id": f"{stream}:2"},
    )
    await append(
        service,
        stream,
        "turn_finished",
        data={"at": AT.format(3), "turn_id": 2, "reason": "complete"},
        metadata={"actor": "worker:w", "causation_id": f"{stream}:4"},
    )
    return stream


async def test_timeline_tells_what_happened(service: Connection, open_as: Open) -> None:
    stream = await chat(service)
    dba = await open_as("dba")
    found = await rows(
        dba,
        "SELECT version, type, epoch, attempt, actor, detail, border, position,"
        " later >= '0' FROM es.chat_timeline(%s)",
        [stream],
    )
    assert [row[:2] for row in found] == [
        (1, "chat_created"),
        (2, "message_appended"),
        (3, "run_acquired"),
        (4, "generation_attempt_started"),
        (5, "turn_finished"),
    ]
    assert found[1][2:] == (
        None,
        None,
        "user:1",
        'user, "How long does green tea take?"',
        True,
        2,
        True,
    )
    assert found[2][2:7] == (2, 1, "worker:w", "model, by w, term 1", False)
    assert found[4][5] == "complete, turn 2"
    assert await rows(dba, "SELECT * FROM es.chat_timeline(%s)", [uuid4()]) == []


async def test_long_text_is_cut(service: Connection) -> None:
    text = 'say "' + "x" * 100
    detail = await value(
        service,
        "SELECT es.describe_event(jsonb_build_object('parts', jsonb_build_array("
        "jsonb_build_object('text', %s::text))))",
        [text],
    )
    assert detail == '"say \\"' + "x" * 55 + '"'


CONFIG = UUID(int=7)
ASKED = ModelRef(provider="anthropic", model="opus", model_config_id=CONFIG)
USAGE = Usage(input_tokens=7, output_tokens=2)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            b.committed(2, asked=ASKED, usage=USAGE, cost_micros=1250, runtime_ms=40),
            f"model, anthropic opus, config {CONFIG}, 7 tokens in, 2 out,"
            " 0.001250 USD, 40 ms",
        ),
        (b.committed(2, kind="tools", runtime_ms=4), "tools"),
        (
            GenerationAttemptStarted(
                at=b.NOW,
                epoch=2,
                attempt=1,
                kind="model",
                asked=ModelRef(provider="openai", model="gpt"),
            ),
            "model, openai gpt",
        ),
        (
            UsageRecorded(
                at=b.NOW, purpose="title", asked=ASKED, usage=USAGE, actor=b.ACTOR
            ),
            f"title, anthropic opus, config {CONFIG}, 7 tokens in, 2 out, by {{actor}}",
        ),
        (
            HistoryCompacted(
                at=b.NOW,
                summary_id=9,
                source="automatic",
                threshold_percent=70,
                context_tokens=71000,
                context_limit=100000,
            ),
            "automatic, message 9 for all before it, at 70 %, 71000 tokens, of 100000",
        ),
        (b.title_changed("tea", "hello"), "tea, before: hello, by {actor}"),
        (b.labels_changed(team="a"), 'labels {{"team": "a"}}, by {actor}'),
        (b.pinned("m"), "sort key m, by {actor}"),
        (b.unpinned(), "by {actor}"),
        (b.plan_mode_changed("plan"), "plan first, by {actor}"),
        (b.plan_mode_changed(""), "no plan, by {actor}"),
        (b.workspace_bound(b.CHAT), f"workspace {b.CHAT}, by {{actor}}"),
        (b.model_changed(b.CHAT), f"model config {b.CHAT}, by {{actor}}"),
        (b.servers_changed(b.CHAT), f'servers ["{b.CHAT}"], by {{actor}}'),
        (b.chat_archived(), "by {actor}"),
        (b.read_cursor_moved(5), "read up to 5, by {actor}"),
        (b.child_spawned(b.CHAT), f"child {b.CHAT}, by {{actor}}"),
        (b.truncated(4), "without 4 and all that followed, by {actor}"),
        (b.forked(7), f"from {b.CHAT} at version 7, by {{actor}}"),
        (b.queue_item_moved(5), "by {actor}, in the queue: 5"),
        (b.user("hi", queued_id=5), 'user, from the queue: 5, "hi"'),
        (b.queue_cleared(), "by {actor}"),
        (b.retry_scheduled(2), "again in 1000 ms, the model is away"),
        (b.action_required(b.browse("c1")), 'calls ["browser"], until {deadline}'),
        (b.results_submitted("c1"), 'by {actor}, for ["c1"]'),
        (b.calls_cancelled("c1", reason="late"), 'by {actor}, late, for ["c1"]'),
        (b.compaction_requested(), "by {actor}"),
        (b.reconciled(), "by {actor}, {error}"),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
async def test_line_says_what_is_in_the_event(
    service: Connection, event: ChatEvent, line: str
) -> None:
    data = encode_data(event)
    told = await value(service, "SELECT es.describe_event(%s)", [Jsonb(data)])
    facts = data | {"error": data.get("error", {}).get("message")}
    assert told == line.format(**facts)


async def test_diff_shows_the_fields_that_changed(
    service: Connection, open_as: Open
) -> None:
    stream = await chat(service)
    dba = await open_as("dba")
    query = "SELECT field, before, after FROM es.chat_diff(%s, %s, %s)"
    found = {row[0]: row[1:] for row in await rows(dba, query, [stream, 2, 5])}
    assert found["version"] == (2, 5)
    assert found["status"] == ("running", "waiting")
    assert found["turn_id"] == (2, None)
    assert found["attempt"] == (0, 1)
    assert set(found) == {
        *("version", "status", "turn_id", "attempt"),
        *("term", "holder", "updated_at"),
    }
    assert await rows(dba, query, [stream, 3, 4]) == []


async def test_there_is_no_state_of_no_chat(service: Connection) -> None:
    for query in ("SELECT es.state_at(%s)", "SELECT es.chat_diff(%s, 1, 2)"):
        with pytest.raises(psycopg.DatabaseError) as raised:
            await service.execute(query.encode(), [uuid4()])
        assert raised.value.sqlstate == "ES404"


async def test_an_event_of_a_newer_release_has_no_state(service: Connection) -> None:
    stream = await chat(service)
    await append(service, stream, "from_tomorrow")
    with pytest.raises(psycopg.DatabaseError) as raised:
        await value(service, "SELECT es.state_at(%s)", [stream])
    assert raised.value.sqlstate == "ES500"
    state = await value(service, "SELECT es.state_at(%s, 5)", [stream])
    assert state["status"] == "waiting"


async def test_purged_chat_has_a_version_and_nothing_else(
    service: Connection, open_as: Open
) -> None:
    stream, dba = await chat(service), await open_as("dba")
    await dba.execute("SELECT es.purge_stream('chat', %s, 'dba', 'asked')", [stream])
    for version in (2, 5, None):
        state = await value(dba, "SELECT es.state_at(%s, %s)", [stream, version])
        assert state["version"] == version or 6
        assert (state["exists"], state["title"]) == (False, "")
    timeline = await rows(
        dba, "SELECT type, detail FROM es.chat_timeline(%s)", [stream]
    )
    assert timeline[1] == ("erased", "was message_appended")
    assert timeline[-1] == ("stream_purged", "by dba, asked")


EXPLAIN = "SELECT position, relation FROM es.explain_event(%s)"


async def test_explain_finds_causes_append_and_effects(
    service: Connection, open_as: Open
) -> None:
    await append(service, uuid4(), "other", metadata={"correlation_id": "r2"})
    await chat(service)
    dba = await open_as("dba")
    assert await rows(dba, EXPLAIN, [5]) == [
        (3, "cause 1"),
        (4, "same append"),
        (5, "this"),
        (6, "effect"),
    ]
    assert await rows(dba, EXPLAIN, [3]) == [
        (3, "this"),
        (4, "effect"),
        (5, "effect"),
    ]
    assert await rows(dba, EXPLAIN, [6]) == [
        (3, "cause 2"),
        (5, "cause 1"),
        (6, "this"),
    ]


async def test_explain_finds_the_request_over_streams(service: Connection) -> None:
    parent, child, mark = uuid4(), uuid4(), {"correlation_id": "r7"}
    await (
        Batch().add(parent, "a", metadata=mark).add(child, "b", metadata=mark)
    ).append(service)
    await append(service, parent, "c", metadata=mark)
    assert await rows(service, EXPLAIN, [1]) == [
        (1, "this"),
        (2, "same request"),
        (3, "same request"),
    ]


@pytest.mark.parametrize("cause", ["nonsense", "not-a-uuid:1", f"{UUID(int=9)}:1", ""])
async def test_explain_bears_any_cause(service: Connection, cause: str) -> None:
    await append(service, uuid4(), "a", metadata={"causation_id": cause})
    assert await rows(service, EXPLAIN, [1]) == [(1, "this")]


async def test_explain_needs_an_event(service: Connection) -> None:
    with pytest.raises(psycopg.DatabaseError) as raised:
        await rows(service, EXPLAIN, [1])
    assert raised.value.sqlstate == "ES404"


async def test_position_at_finds_a_time(service: Connection) -> None:
    for _ in range(7):
        await append(service, uuid4(), "a", "b")
    times = await rows(
        service, "SELECT recorded_at, max(position) FROM es.events GROUP BY 1"
    )
    for at, position in times:
        assert await value(service, "SELECT es.position_at(%s)", [at]) == position
    for at, position in (("-infinity", 0), ("infinity", 14)):
        assert await value(service, "SELECT es.position_at(%s)", [at]) == position


async def test_event_rates_count_by_time(service: Connection, open_as: Open) -> None:
    dba = await open_as("dba")
    query = "SELECT span, events, events_per_s, first_position FROM ops.event_rates"
    assert {row[1] for row in await rows(dba, query)} == {0}
    await append(service, uuid4(), *["a"] * 6)
    found = await rows(dba, query)
    assert [row[0] for row in found][:2] == [
        timedelta(minutes=1),
        timedelta(minutes=10),
    ]
    assert {(row[1], row[3]) for row in found} == {(6, 1)}
    assert float(found[0][2]) == pytest.approx(0.1)
