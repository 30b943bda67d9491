"""What a client wrote is in its next read, or the answer says that it may not be."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.db.pool import connect
from tests.integration.api.conftest import ORIGIN, PATIENCE_S, Api, bearer, said
from tests.integration.feeds.conftest import Projecting

LIST = "/api/v1/chats"
STOP = "UPDATE ops.checkpoints SET state = 'stopped', error = 'test'"
PARK = """
INSERT INTO ops.parked_streams
  (projection, version, category, stream_id, position, event_version, event_type, error)
VALUES (%s, 1, 'chat', %s, 1, %s, 'message_appended', 'test')
"""


async def admin(api: Api, statement: str, *values: Any) -> None:
    async with await connect(
        api.stack.database, role="projector", name="test"
    ) as connection:
        await connection.execute(statement, values)


async def test_every_answer_about_a_chat_tells_its_version(api: Api) -> None:
    created = await api.post(LIST, said())
    chat = created.json()
    assert created.headers["parley-version"] == f"{chat['id']}:{chat['version']}"
    path = f"{LIST}/{chat['id']}"
    sent = await api.post(f"{path}/messages", said("again"))
    assert sent.headers["parley-version"] == f"{chat['id']}:{chat['version'] + 1}"
    read = await api.get(path)
    assert read.headers["parley-version"] == sent.headers["parley-version"]
    stopped = await api.post(f"{path}/interrupt", {})
    version = stopped.json()["version"]
    assert stopped.headers["parley-version"] == f"{chat['id']}:{version}"
    for way in ("application/json", "application/x-ndjson", "text/event-stream"):
        for feed in ("stream", "events"):
            asked = {"accept": way}
            async with api.http.stream("GET", f"{path}/{feed}", headers=asked) as got:
                assert got.headers["parley-version"] == f"{chat['id']}:{version}"


async def test_a_list_of_messages_tells_what_its_read_models_have(api: Api) -> None:
    chat = await api.create()
    path = f"{LIST}/{chat['id']}/messages"
    before = await api.get(path)
    assert before.headers["parley-version"] == f"{chat['id']}:0"
    await api.project()
    after = await api.get(path)
    assert after.headers["parley-version"] == f"{chat['id']}:{chat['version']}"
    await api.post(path, said("not projected yet"))
    assert (await api.get(path)).headers["parley-version"] == (
        after.headers["parley-version"]
    )


async def test_a_replay_tells_the_version_of_the_first_answer(api: Api) -> None:
    first = await api.post(LIST, said(), key="k")
    await api.post(f"{LIST}/{first.json()['id']}/messages", said("more"))
    again = await api.post(LIST, said(), key="k")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["parley-version"] == first.headers["parley-version"]


async def test_each_read_finds_the_write_before_it(
    api: Api, projecting: Projecting
) -> None:
    async with projecting():
        for number in range(10):
            created = await api.post(LIST, said(f"{number}"))
            seen = {"parley-min-version": created.headers["parley-version"]}
            listed = await api.get(LIST, headers=seen)
            assert listed.json()["chats"][0]["id"] == created.json()["id"]
            assert "parley-stale" not in listed.headers
            messages = f"{LIST}/{created.json()['id']}/messages"
            sent = await api.post(messages, said("queued"))
            seen = {"parley-min-version": sent.headers["parley-version"]}
            page = await api.get(messages, headers=seen)
            assert len(page.json()["queued_messages"]) == 1
            assert page.headers["parley-version"] == sent.headers["parley-version"]


async def test_the_commit_of_a_projector_wakes_a_waiting_read(api: Api) -> None:
    created = await api.post(LIST, said())
    seen = {"parley-min-version": created.headers["parley-version"]}
    reading = asyncio.create_task(api.get(LIST, headers=seen))
    progress = api.stack.feeds.progress
    async with asyncio.timeout(PATIENCE_S):
        await progress.read.wait()
    await api.project()
    answer = await reading
    assert [c["id"] for c in answer.json()["chats"]] == [created.json()["id"]]
    assert "parley-stale" not in answer.headers


async def test_without_a_projector_the_answer_comes_and_says_stale(api: Api) -> None:
    created = await api.post(LIST, said())
    seen = {"parley-min-version": created.headers["parley-version"]}
    answer = await api.get(LIST, headers=seen)
    assert answer.status_code == 200
    assert answer.headers["parley-stale"] == "chats, cursors"
    assert answer.json()["chats"] == []
    refused = await api.get(LIST, headers={**seen, "prefer": "wait"})
    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/read-model-behind"
    assert "retry-after" in refused.headers


async def test_many_waiting_reads_share_the_checkpoints(api: Api) -> None:
    created = await api.post(LIST, said())
    seen = {"parley-min-version": created.headers["parley-version"]}
    answers = await asyncio.gather(*(api.get(LIST, headers=seen) for _ in range(30)))
    assert {a.headers["parley-stale"] for a in answers} == {"chats, cursors"}
    assert api.stack.feeds.progress.reads < 30
    assert api.stack.feeds.progress.waiting == 0


async def test_a_stopped_projection_answers_at_once(api: Api) -> None:
    created = await api.post(LIST, said())
    await admin(api, STOP)
    path = f"{LIST}/{created.json()['id']}/messages"
    seen = {"parley-min-version": created.headers["parley-version"]}
    api.stack.feeds.progress._wait_s = 3600.0
    async with asyncio.timeout(PATIENCE_S):
        answer = await api.get(path, headers=seen)
    assert answer.headers["parley-stale"] == "messages, queue"


async def test_a_parked_chat_answers_at_once_from_where_it_is_parked(api: Api) -> None:
    created = await api.post(LIST, said())
    await api.project()
    chat_id, version = created.json()["id"], created.json()["version"]
    path = f"{LIST}/{chat_id}/messages"
    await admin(api, PARK, "messages", chat_id, version + 1)
    sent = await api.post(path, said("into a parked stream"))
    api.stack.feeds.progress._wait_s = 3600.0
    async with asyncio.timeout(PATIENCE_S):
        seen = {"parley-min-version": sent.headers["parley-version"]}
        parked = await api.get(path, headers=seen)
        seen = {"parley-min-version": created.headers["parley-version"]}
        before = await api.get(path, headers=seen)
    assert parked.headers["parley-stale"] == "messages, queue"
    assert parked.headers["parley-version"] == f"{chat_id}:{version}"
    assert "parley-stale" not in before.headers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "12",
        f"{UUID(int=7)}",
        f"{UUID(int=7)}:",
        f"{UUID(int=7)}:-1",
        "-" * 36 + ":1",
    ],
)
async def test_a_malformed_version_is_refused(api: Api, text: str) -> None:
    answer = await api.get(LIST, headers={"parley-min-version": text})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Parley-Min-Version"


async def test_a_version_that_nobody_was_told_is_refused(api: Api) -> None:
    chat = await api.create()
    mine, next_ = chat["version"], chat["version"] + 1
    cases = [
        (f"{chat['id']}:{next_}", bearer(api.token)),
        (f"{uuid4()}:1", bearer(api.token)),
        (f"{chat['id']}:{mine}", bearer(api.other_token)),
    ]
    for text, token in cases:
        answer = await api.get(LIST, headers={"parley-min-version": text, **token})
        assert answer.status_code == 400
        assert answer.json()["type"] == "/problems/unknown-version"


async def test_nothing_seen_is_nothing_to_wait_for(api: Api) -> None:
    chat = await api.create()
    answer = await api.get(LIST, headers={"parley-min-version": f"{chat['id']}:0"})
    assert answer.status_code == 200
    assert "parley-stale" not in answer.headers


async def test_browsers_may_send_and_read_the_headers(api: Api) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "GET",
        "access-control-request-headers": "parley-min-version, prefer",
    }
    preflight = await api.http.options(LIST, headers=asked)
    assert preflight.status_code == 200
    answer = await api.get(LIST, headers={"origin": ORIGIN})
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert "parley-version" in exposed
    assert "parley-stale" in exposed
