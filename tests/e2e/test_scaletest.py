"""parley scaletest: finds a whole service whole, and one that loses a message not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import psycopg
import pytest

from service.domain.events.chat import ModelRef
from service.providers.choose import VendorModel
from service.providers.models import Model
from service.providers.title import propose_title
from service.providers.vendor.model import open_vendor
from service.scaletest.fake_openai import Pace, fake_openai
from service.scaletest.plan import Plan
from service.scaletest.run import Report, Wrap, run
from service.testing.parley import Parley
from tests.builders import created, state_of, user
from tests.e2e.commands import command
from tests.e2e.conftest import Serve, Served

CHATS, TURNS = 100, 5
PATIENCE_S = 150.0
"""Ten seconds on two idle cores; a whole suite may be running beside it."""

Meddle = Callable[[bytes], list[bytes]]


def client_of(served: Served, url: str | None = None) -> dict[str, str]:
    return {"PARLEY_URL": url or served.url, "PARLEY_TOKEN": served.token}


FORGET = """
DELETE FROM read.messages__v1 WHERE chat_id = %s
  AND id = (SELECT max(id) FROM read.messages__v1 WHERE chat_id = %s)
"""


class Meddling(httpx2.AsyncBaseTransport):
    """Changes the frames `message` of every stream that passes."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, meddle: Meddle) -> None:
        self._inner = inner
        self._meddle = meddle

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if not request.url.path.endswith("/stream"):
            return response
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            content=self._meddled(response),
        )

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _meddled(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        rest = b""
        try:
            async for piece in response.aiter_raw():
                *blocks, rest = (rest + piece).split(b"\n\n")
                for block in blocks:
                    own = b"event: message\n" in block
                    for one in self._meddle(block) if own else [block]:
                        yield one + b"\n\n"
        finally:
            await response.aclose()


class Forgetting(httpx2.AsyncBaseTransport):
    """Takes the last message out of a list before it is asked for."""

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, admin: psycopg.AsyncConnection[Any]
    ) -> None:
        self._inner = inner
        self._admin = admin

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        *_, chat, last = request.url.path.split("/")
        if (request.method, last) == ("GET", "events"):
            # the list is asked for next; by now the read model is whole
            await self._shown(request, chat)
            await self._admin.execute(FORGET, (chat, chat))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _shown(self, request: httpx2.Request, chat: str) -> None:
        headers = {"authorization": request.headers["authorization"]}
        async with httpx2.AsyncClient(headers=headers) as http:
            url = request.url.copy_with(path=f"/api/v1/chats/{chat}", query=None)
            newest = (await http.get(url)).json()["version"]
            fresh = {"parley-min-version": f"{chat}:{newest}", "prefer": "wait"}
            listed = request.url.copy_with(
                path=f"/api/v1/chats/{chat}/messages", query=None
            )
            assert (await http.get(listed, headers=fresh)).status_code == 200


@asynccontextmanager
async def losing_proxy(url: str) -> AsyncIterator[str]:
    """Passes bytes on, but renames the frame `message`: nobody reads it any more."""
    host, port = httpx2.URL(url).host, httpx2.URL(url).port

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data.replace(b"event: message\n", b"event: massage\n"))
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_service, to_service = await asyncio.open_connection(host, port)
        await asyncio.gather(pump(reader, to_service), pump(from_service, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _run(parley: Parley, *, wrap: Wrap) -> Report:
    plan = Plan(url=parley.url, token=parley.token, chats=2, turns=2, prompt="count 3")
    return await run(plan, wrap=wrap)


@pytest.mark.timeout(PATIENCE_S + 60)
async def test_a_hundred_chats_of_five_turns_are_whole(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database, scripted_rate="20") as served:
        ran = await command(
            client_of(served), "scaletest", "--chats", str(CHATS), "--turns",
            str(TURNS), "--prompt", "count 5", "--json", patience_s=PATIENCE_S,
        )  # fmt: skip
    assert ran.code == 0, ran.out
    told = ran.json
    assert told["passed"]
    assert told["chats_completed"] == told["chats_compared"] == CHATS
    assert told["chat_turns_completed_total"] == CHATS * TURNS
    assert told["differences"] == told["chat_stage_failures_total"] == []
    for measure, phases in told["measures"].items():
        for phase, of in phases.items():
            follow_ups = CHATS * (TURNS - 1)
            assert of["count"] == (follow_ups if phase == "follow_up" else CHATS)
            assert 0 < of["p50"] <= of["p95"] <= of["p99"] <= of["max"], measure
    database = told["database"]
    assert database["history_reads_per_turn"] <= 3
    assert database["connections_most_in_use"] <= 10
    assert database["statements_per_turn"] < 100
    assert database["events"] >= CHATS * TURNS * 5


async def test_people_read_a_table_and_a_verdict(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database, scripted_rate="500") as served:
        ran = await command(
            client_of(served), "scaletest", "-n", "3", "--turns", "2", "--rate", "50",
            "--turn-start-delay", "0.1", "--archive",
        )  # fmt: skip
        async with served.client() as client:
            page = await client.chats(archived=True)
    assert ran.code == 0
    for words in ("time_to_first_output", "follow_up", "6 of 6 turns", "a turn"):
        assert words in ran.out
    assert ran.out.splitlines()[-1] == "nothing lost, nothing doubled"
    assert len(page["chats"]) == 3
    assert {chat["labels"]["scaletest"] for chat in page["chats"]}


async def test_turns_that_fail_are_told(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database) as served:
        ran = await command(
            client_of(served), "scaletest", "-n", "2", "--prompt", "fail", "--json"
        )
    assert ran.code == 1
    assert ran.json["whole"]
    assert not ran.json["passed"]
    (failure,) = ran.json["chat_stage_failures_total"]
    assert (failure["stage"], failure["count"]) == ("status_error", 2)


async def test_a_message_that_a_proxy_loses_ends_non_zero(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with (
        serve(**on_database, scripted_rate="500") as served,
        losing_proxy(served.url) as url,
    ):
        metrics = f"{served.url}/metrics"
        ran = await command(
            client_of(served, url), "scaletest", "-n", "2", "--turns", "2", "--prompt",
            "count 3", "--metrics", metrics, "--json",
        )  # fmt: skip
    assert ran.code == 1
    assert not ran.json["whole"]
    found = ran.json["differences"]
    assert {difference["what"].split(":")[0] for difference in found} == {"stream"}
    # a frame that two reads of the proxy part passes, and stands beside lost ones
    assert any(d["what"].endswith("is lost") for d in found), found


@pytest.mark.parametrize(
    ("meddle", "told"),
    [
        pytest.param(lambda block: [], "is lost", id="lost"),
        pytest.param(lambda block: [block, block], "came twice", id="doubled"),
        pytest.param(
            lambda block: [block.replace(b'"text":"1', b'"text":"x')],
            "is another than in the log",
            id="changed",
        ),
    ],
)
async def test_a_stream_that_was_meddled_with_is_found_out(
    parley: Parley, meddle: Meddle, told: str
) -> None:
    report = await _run(parley, wrap=lambda inner: Meddling(inner, meddle))
    assert not report.passed
    assert report.completed == 2
    assert any(told in found.what for found in report.differences)


async def test_a_list_that_lacks_a_message_is_found_out(parley: Parley) -> None:
    async with await psycopg.AsyncConnection.connect(
        parley.database_url, autocommit=True
    ) as admin:
        report = await _run(parley, wrap=lambda inner: Forgetting(inner, admin))
    assert report.completed == 2
    assert len({found.chat_id for found in report.differences}) == 2
    for found in report.differences:
        assert found.what.startswith("list: message")
        assert found.what.endswith("is lost")


async def test_the_fake_model_answers_at_its_pace(
    serve: Serve, on_database: dict[str, str]
) -> None:
    pace = Pace(latency_s=0.3, parts_per_second=100, parts=4)
    async with fake_openai(0, pace) as model:
        settings = on_database | {"model": "openai:fake", "model_base_url": model}
        async with serve(**settings) as served, served.client() as client:
            chat = await client.create("hello")
            view = await client.turn_finished(chat, after="0", timeout_s=30)
            assert view.answer == "word0 word1 word2 word3"
            plan = Plan(url=served.url, token=served.token, chats=2, turns=2)
            report = await run(plan)
    assert report.passed
    first = report.figures.summaries()["chat_time_to_first_output_seconds"]
    assert all(of.p50 >= pace.latency_s for of in first.values())


async def test_the_fake_model_gives_a_title_when_one_is_wanted() -> None:
    pace = Pace(latency_s=0.0, parts_per_second=1000.0, parts=20)
    said = state_of(created(), user("hello")).messages
    async with fake_openai(0, pace) as url:
        chosen = VendorModel("openai", "fake", url)
        async with open_vendor(chosen) as provider:
            ref = ModelRef(provider=provider.name, model="fake")
            named = await propose_title(Model(provider, ref), list(said))
    assert named.title == "word0 word1"
