"""Every vital sign of a running service moves when what it counts happens."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from service.domain.ids import CHAT
from service.eventstore import codec, store
from service.eventstore.records import ANY, AppendRequest, StreamAppend, StreamName
from service.metrics import PARTS
from service.testing.model import Call, Failure, Pause
from service.testing.parley import Parley, StartParley
from tests import builders as b
from tests.fixtures.stack import PATIENCE_S

OF_MODELS = {
    "parley_message_count", "parley_prompt_size_bytes", "parley_ttft_seconds",
    "parley_tool_result_size_bytes", "parley_tool_errors", "parley_steps",
    "parley_stream_retries", "parley_compaction",
}  # fmt: skip
"""And results that were cut: no tool of this release says so much, see unit tests."""

IN_UNIT_TESTS = {
    "parley_guard_violations",  # a violation would be a bug of ours
    "parley_projector_parked",  # tests/integration/projections/test_poison.py poisons
    "parley_projector_stopped",
    "parley_limits_rate_limited",  # tests/integration/api/test_limits.py asks too much
    "parley_limits_too_many_running",
}

EPISODE_BYTES = 1024 * 1024

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s
"""


class Scraper:
    """Scrapes one service, and remembers what every metric has been."""

    def __init__(self, parley: Parley, http: httpx2.AsyncClient) -> None:
        self.parley = parley
        self.http = http
        self.seen: dict[str, set[float]] = defaultdict(set)

    async def look(self) -> dict[str, float]:
        """The metrics now; those with labels summed up."""
        answer = await self.http.get("/metrics")
        assert answer.status_code == 200, answer.text
        now: dict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name.endswith(("_bucket", "_sum", "_created")):
                    continue
                if family.type == "histogram" or family.name.startswith("parley_"):
                    now[family.name] += sample.value
        for name, value in now.items():
            self.seen[name].add(value)
        return now

    async def until(self, done: Callable[[dict[str, float]], bool]) -> None:
        """Scrape until the service is where the test wants it."""
        async with asyncio.timeout(PATIENCE_S):
            while not done(await self.look()):
                continue

    @property
    def unmoved(self) -> set[str]:
        names = OF_MODELS | {
            sign.name(part) for part, signs in PARTS.items() for sign in signs
        }
        rim = {
            "parley_http_requests", "parley_http_request_seconds",
            "parley_projection_lag_events", "parley_projection_lag_seconds",
        }  # fmt: skip
        assert rim | names == {n for n in self.seen if n.startswith("parley_")}
        # what has labels is not there before it has moved
        moved = {n for n in OF_MODELS if max(self.seen[n]) > 0}
        return {n for n in rim | names if len(self.seen[n]) < 2} - moved


async def test_every_vital_sign_moves(start_parley: StartParley) -> None:
    settings = {"heartbeat_interval_s": 0.1, "poll_interval_s": 0.5, "pool_size": 4}
    with start_parley(**settings) as parley:
        auth = {"authorization": f"Bearer {parley.token}"}
        async with (
            httpx2.AsyncClient(base_url=parley.url, headers=auth) as http,
            await psycopg.AsyncConnection.connect(
                parley.database_url, autocommit=True
            ) as admin,
        ):
            scraper = Scraper(parley, http)
            await scraper.look()
            chat = await _a_running_turn(scraper)
            await _a_model_that_fails_once_and_calls_what_is_not_there(scraper)
            await _a_chat_that_waits_for_its_client(scraper)
            await _lost_connections(scraper, admin)
            await _a_projector_that_waits(scraper, admin)
            await _appends_that_wait(scraper, admin, chat)
            await _a_pool_that_is_too_small(scraper, chat)
            assert scraper.unmoved == IN_UNIT_TESTS


async def _a_running_turn(scraper: Scraper) -> str:
    """Followed, with a preview that is too large, and a lease that gets lost."""
    pause, parley = Pause(), scraper.parley
    parley.model.answer(["short ", "x" * (EPISODE_BYTES + 1), pause, "end"])
    chat = await parley.create("hello")
    async with (
        scraper.http.stream("GET", f"/api/v1/chats/{chat['id']}/stream") as stream,
        scraper.http.stream(
            "GET",
            f"/api/v1/chats/{chat['id']}/events",
            headers={"accept": "text/event-stream"},
        ) as feed,
    ):
        assert stream.status_code == feed.status_code == 200
        await scraper.until(
            lambda now: (
                now["parley_stream_ring_bytes"] > 0
                and now["parley_live_dropped"] > 0
                and now["parley_live_largest_bytes"] > 0
                and now["parley_feeds_open"] == 1
                and now["parley_stream_followers"] == 1
                and now["parley_lease_held"] == 1
                and now["parley_worker_running"] == 1
            )
        )
        async with await psycopg.AsyncConnection.connect(
            parley.database_url, autocommit=True
        ) as admin:
            await admin.execute("DELETE FROM ops.leases")
        await scraper.until(lambda now: now["parley_lease_losses"] == 1)
        pause.release()
    await parley.turn_finished(chat)
    await scraper.until(lambda now: now["parley_worker_running"] == 0)
    return str(chat["id"])


async def _a_model_that_fails_once_and_calls_what_is_not_there(
    scraper: Scraper,
) -> None:
    """And then sums its chat up."""
    parley = scraper.parley
    parley.model.answer(Failure("overloaded", retryable=True), Call("nothing"), "so")
    chat = await parley.create("hello")
    await parley.turn_finished(chat)
    answer = await scraper.http.post(f"/api/v1/chats/{chat['id']}/compact")
    assert answer.status_code == 200, answer.text
    await scraper.until(lambda now: now["parley_compaction"] == 1)
    answer = await scraper.http.get("/metrics")
    pair = 'model="default",provider="scripted"'
    for line in (
        f'parley_stream_retries_total{{kind="overloaded",{pair}}} 1.0',
        f'parley_compaction_total{{{pair},result="success"}} 1.0',
        f'parley_tool_errors_total{{{pair},tool_name="mcp"}} 1.0',
        'parley_chats{state="streaming"}',
        'parley_chats{state="waiting"}',
    ):
        assert line in answer.text


async def _a_chat_that_waits_for_its_client(scraper: Scraper) -> None:
    scraper.parley.model.answer([Call("ask")], "thanks")
    tool = {"name": "ask", "input_schema": {"type": "object"}}
    await scraper.parley.create("hello", client_tools=[tool])
    await scraper.until(lambda now: now["parley_worker_waiting"] == 1)


async def _lost_connections(
    scraper: Scraper, admin: psycopg.AsyncConnection[Any]
) -> None:
    for name in ("parley/listener", "parley/projector"):
        await admin.execute(KILL, (name,))
    await scraper.until(
        lambda now: (
            now["parley_listener_reconnects"] > 0
            and now["parley_projector_reconnects"] > 0
        )
    )


async def _a_projector_that_waits(
    scraper: Scraper, admin: psycopg.AsyncConnection[Any]
) -> None:
    async with admin.transaction():
        await admin.execute("SELECT FROM ops.checkpoints FOR UPDATE")
        await scraper.parley.create("hello")
        await scraper.until(
            lambda now: (
                now["parley_projection_lag_events"] > 0
                and now["parley_projection_lag_seconds"] > 0
            )
        )
    await scraper.until(lambda now: now["parley_projection_lag_events"] == 0)


async def _appends_that_wait(
    scraper: Scraper, admin: psycopg.AsyncConnection[Any], chat: str
) -> None:
    """For the log's lock; meanwhile somebody else appends to the same chat."""
    async with admin.transaction():
        await admin.execute("SELECT FROM es.head FOR UPDATE")
        send = asyncio.create_task(scraper.parley.send(chat, "hello"))
        await scraper.until(lambda now: now["parley_appends_waiting"] > 0)
        other = StreamAppend(
            StreamName(CHAT, UUID(chat)), ANY, [codec.encode(b.user("me first"), {})]
        )
        await store.append(admin, [AppendRequest((other,), str(uuid4()), b"h" * 32)])
    await send
    await scraper.until(lambda now: now["parley_appender_conflicts"] > 0)


async def _a_pool_that_is_too_small(scraper: Scraper, chat: str) -> None:
    """Readers who want its four connections, all at once."""

    async def read() -> None:
        while True:
            await scraper.http.get(f"/api/v1/chats/{chat}/messages")

    readers = [asyncio.create_task(read()) for _ in range(24)]
    await scraper.until(
        lambda now: (
            now["parley_pool_waits"] > 0
            and now["parley_pool_wait_seconds"] > 0
            and now["parley_pool_in_use"] > 0
        )
    )
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
