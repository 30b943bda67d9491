"""Raw events as a page, as lines and as a stream: each event once, in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from service import wire
from service.auth.bearer import hash_token, new_token
from service.db.pool import connect
from service.eventstore import store
from service.eventstore.public import public_event
from service.platform.tokens import insert_token
from service.stream.place import format_place, place_of
from tests.fixtures.stack import Client
from tests.integration.api.conftest import PATIENCE_S, Api, bearer, said
from tests.integration.feeds.conftest import following, seen

LOG = "/api/v1/events"
ERASE = """
UPDATE es.events SET type = 'erased', metadata = '{}',
  data = jsonb_build_object('was', type)
WHERE stream_id = %s AND type = 'message_appended'
"""
LINES = {"accept": "application/x-ndjson"}


async def auditor(api: Api) -> dict[str, str]:
    """Headers of a token that may read the log, and nothing else."""
    token = new_token()
    async with api.stack.pool.connection() as connection:
        await insert_token(
            connection,
            token_hash=hash_token(token),
            user_id=api.user_id,
            name="audit",
            scopes=("audit",),
        )
    return bearer(token)


async def the_log(api: Api) -> list[dict[str, Any]]:
    async with api.stack.pool.connection() as connection:
        events = await store.read_log(connection, 0, 10_000)
    return [wire.loads(wire.dumps(public_event(event))) for event in events]


async def write(api: Api, chats: int = 3, sends: int = 3) -> list[str]:
    ids = [(await api.create(f"chat {n}"))["id"] for n in range(chats)]
    for number in range(sends):
        for chat_id in ids:
            await api.post(f"/api/v1/chats/{chat_id}/messages", said(f"{number}"))
    return ids


def events_of(client: Client) -> list[dict[str, Any]]:
    return [frame.data for frame in client.named("event")]


async def paths(api: Api) -> list[tuple[str, dict[str, str], list[dict[str, Any]]]]:
    """Both feeds: path, headers, all that is in them."""
    chat_id = (await write(api))[0]
    log = await the_log(api)
    own = [event for event in log if event["stream_id"] == chat_id]
    chat = f"/api/v1/chats/{chat_id}/events"
    return [(LOG, await auditor(api), log), (chat, bearer(api.token), own)]


async def test_pages_give_each_event_once_and_end_at_borders(api: Api) -> None:
    for path, headers, expected in await paths(api):
        found: list[dict[str, Any]] = []
        after = "0"
        for _ in range(100):
            answer = await api.get(f"{path}?limit=2&after={after}", headers=headers)
            page = answer.json()
            if not page["events"]:
                break
            found += page["events"]
            after = page["next"]
        assert found == expected
        assert (await api.get(f"{path}?after={after}", headers=headers)).json() == {
            "events": [], "next": after
        }  # fmt: skip


async def test_a_page_never_ends_inside_an_append(api: Api) -> None:
    headers = await auditor(api)
    await api.create(system_prompt="three events in one append")
    page = (await api.get(f"{LOG}?limit=1", headers=headers)).json()
    assert [event["version"] for event in page["events"]] == [1, 2, 3]


async def test_lines_are_all_events_up_to_the_head(api: Api) -> None:
    for path, headers, expected in await paths(api):
        answer = await api.get(path, headers={**headers, **LINES})
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert [wire.loads(line) for line in answer.text.splitlines()] == expected
        rest = await api.get(f"{path}?after=now", headers={**headers, **LINES})
        assert rest.text == ""


async def test_lines_of_many_pages_come_whole(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.events.PAGE", 2)
    for path, headers, expected in await paths(api):
        answer = await api.get(path, headers={**headers, **LINES})
        assert [wire.loads(line) for line in answer.text.splitlines()] == expected


async def test_a_stream_gives_history_then_what_comes(api: Api) -> None:
    for path, headers, expected in await paths(api):
        async with following(api, path, **headers) as client:
            await client.until(seen("caught_up"))
            assert events_of(client) == expected
            chat_id = expected[-1]["stream_id"]
            await api.post(f"/api/v1/chats/{chat_id}/messages", said("now"))
            await client.until(seen("event", len(expected) + 1))
            assert events_of(client)[-1]["type"] == "message_queued"
            assert len(client.named("caught_up")) == 1


async def test_resume_after_each_frame_gives_exactly_the_rest(api: Api) -> None:
    for path, headers, expected in await paths(api):
        async with following(api, path, **headers) as whole:
            await whole.until(seen("caught_up"))
        frames = whole.named("event")
        assert len({frame.id for frame in frames}) == len(frames)
        for place, frame in enumerate(frames, start=1):
            again = {**headers, "last-event-id": str(frame.id)}
            async with following(api, f"{path}?after=0", **again) as rest:
                await rest.until(seen("caught_up"))
            assert events_of(rest) == expected[place:]
            page = await api.get(f"{path}?after={frame.id}", headers=headers)
            assert page.json()["events"] == expected[place:]


async def test_after_now_begins_with_what_comes(api: Api) -> None:
    (chat_id,) = await write(api, chats=1)
    path = f"/api/v1/chats/{chat_id}/events?after=now"
    async with following(api, path) as client:
        await client.until(seen("caught_up"))
        await api.post(f"/api/v1/chats/{chat_id}/messages", said("new"))
        await client.until(seen("event"))
    assert [f.event for f in client.frames] == ["caught_up", "event"]


async def test_an_id_of_another_history_starts_over(api: Api) -> None:
    for path, headers, expected in await paths(api):
        kind = "l" if path == LOG else "c"
        for number, reason in ((2, "history"), (1_000_000, "ahead")):
            lost = format_place(kind, place_of(number, b"\xff" * 32))  # type: ignore[arg-type]
            async with following(api, f"{path}?after={lost}", **headers) as client:
                await client.until(seen("caught_up"))
            first = client.frames[0]
            assert (first.event, first.data["reason"]) == ("resync", reason)
            assert first.id is not None
            assert events_of(client) == expected
            for accept in ("application/json", "application/x-ndjson"):
                answer = await api.get(
                    f"{path}?after={lost}", headers={**headers, "accept": accept}
                )
                assert answer.status_code == 410
                assert answer.json()["type"] == "/problems/start-over"


@pytest.mark.parametrize("after", ["7", "x", "A" * 18, "-1"])
async def test_what_is_no_id_is_refused(api: Api, after: str) -> None:
    (chat_id,) = await write(api, chats=1, sends=0)
    for accept in ("application/json", "application/x-ndjson", "text/event-stream"):
        answer = await api.get(
            f"/api/v1/chats/{chat_id}/events?after={after}", headers={"accept": accept}
        )
        assert answer.status_code == 400
        assert answer.json()["type"] == "/problems/invalid-cursor"


async def test_only_its_owner_reads_a_chats_events(api: Api) -> None:
    (chat_id,) = await write(api, chats=1)
    path = f"/api/v1/chats/{chat_id}/events"
    assert (await api.get(path, headers=bearer(api.other_token))).status_code == 404
    assert (await api.get(f"/api/v1/chats/{uuid4()}/events")).status_code == 404
    assert (await api.get(path, headers=await auditor(api))).status_code == 404


async def test_only_auditors_read_the_log(api: Api) -> None:
    answer = await api.get(LOG)
    assert answer.status_code == 403
    assert (await api.get(LOG, headers={"authorization": "x"})).status_code == 401
    headers = await auditor(api)
    assert (await api.get(LOG, headers=headers)).status_code == 200
    assert (await api.get("/api/v1/chats", headers=headers)).status_code == 403


async def test_an_accepted_type_that_is_not_offered_is_406(api: Api) -> None:
    (chat_id,) = await write(api, chats=1, sends=0)
    path = f"/api/v1/chats/{chat_id}/events"
    answer = await api.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 406


async def test_an_erased_event_comes_as_it_is_stored(api: Api) -> None:
    (chat_id,) = await write(api, chats=1, sends=0)
    async with await connect(api.stack.database, role="eraser", name="t") as eraser:
        await eraser.execute(ERASE, (UUID(chat_id),))
    page = (await api.get(LOG, headers=await auditor(api))).json()
    erased = page["events"][-1]
    assert (erased["type"], erased["data"]) == ("erased", {"was": "message_appended"})
    assert erased["metadata"]["actor"] is None


async def test_streams_say_bye_when_the_process_stops(api: Api) -> None:
    (chat_id,) = await write(api, chats=1)
    async with following(api, f"/api/v1/chats/{chat_id}/events") as client:
        await client.until(seen("caught_up"))
        assert api.stack.feeds.bells.open == 1
        api.stack.feeds.bells.end("shutdown")
        await client.until(seen("bye"))
        async with asyncio.timeout(PATIENCE_S):
            await client.ended.wait()
    assert client.named("bye")[0].data["reason"] == "shutdown"
    assert api.stack.feeds.bells.open == 0


async def test_streams_say_bye_when_the_log_has_another_history(api: Api) -> None:
    (chat_id,) = await write(api, chats=1)
    async with following(api, f"/api/v1/chats/{chat_id}/events") as client:
        await client.until(seen("caught_up"))
        api.stack.feeds.bells.reset()
        await client.until(seen("bye"))
    assert client.named("bye")[0].data["reason"] == "reset"


async def test_an_open_stream_holds_no_connection(api: Api) -> None:
    """The pool has four; ten streams and a request that needs one fit all the same."""
    (chat_id,) = await write(api, chats=1)
    path = f"/api/v1/chats/{chat_id}/events"
    async with AsyncExitStack() as streams:
        for _ in range(10):
            client = await streams.enter_async_context(following(api, path))
            await client.until(seen("caught_up"))
        assert (await api.get(path)).status_code == 200
