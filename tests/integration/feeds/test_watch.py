"""Watchers hear of their chats, each thing once, in order, wherever they were cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from projections.diff import diff
from projections.rebuild import rebuild
from projections.swap import swap
from projections.versions import active, pick
from projections.watch_feed import WATCH_FEED
from service.api.frames import WATCH_FRAMES
from service.db.pool import Database, connect
from service.stream.place import format_place, place_of
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import PATIENCE_S, Client, WireFrame
from tests.integration.api.conftest import Api, bearer
from tests.integration.feeds.conftest import Projecting, following, seen

WATCH = "/api/v1/chats/watch"
KINDS = (
    *("created", "deleted", "status_change", "title_change"),
    *("action_required", "chat_change"),
)


async def a_turn(api: Api, text: str = "hello", *, fails: bool = False) -> str:
    """A chat whose one turn ends: created, then waiting or error."""
    created = await api.create(text)
    chat = ChatByHand(api.stack, UUID(created["id"]))
    await chat.acquire()
    await chat.attempt()
    if not fails:
        await chat.commit("done")
    await (chat.fail() if fails else chat.finish())
    return str(created["id"])


def told(client: Client) -> list[WireFrame]:
    return [frame for frame in client.frames if frame.event in KINDS]


def shown(client: Client) -> list[tuple[Any, ...]]:
    return [
        (f.data["kind"], f.data["chat"]["id"], f.data["chat"].get("status"))
        for f in told(client)
    ]


def heard(count: int) -> Any:
    return lambda client: len(told(client)) >= count


@asynccontextmanager
async def watching(api: Api, query: str = "", **headers: str) -> AsyncIterator[Client]:
    async with following(api, WATCH + query, **headers) as client:
        await client.until(seen("caught_up"))
        yield client


async def test_a_watcher_hears_what_happens_from_now_on(
    api: Api, projecting: Projecting
) -> None:
    await a_turn(api, "before")
    await api.project()
    async with projecting(), watching(api) as client:
        assert [f.event for f in client.frames] == ["caught_up"]
        well, badly = await a_turn(api), await a_turn(api, fails=True)
        await client.until(heard(4))
        assert shown(client) == [
            ("created", well, "running"),
            ("status_change", well, "waiting"),
            ("created", badly, "running"),
            ("status_change", badly, "error"),
        ]
        frame = told(client)[-1]
        assert (frame.event, frame.data["type"]) == ("status_change", "status_change")
        fresh = (await api.get(f"/api/v1/chats/{badly}")).json()
        for name in ("has_unread", "pin_order", "children"):
            # what only lists and GETs add
            del fresh[name]
        assert frame.data["chat"] == fresh


async def test_a_turn_that_goes_on_from_the_queue_changes_no_status(
    api: Api, projecting: Projecting
) -> None:
    """Within one append the chat waits and runs again: nobody hears of that."""
    async with projecting(), watching(api) as client:
        chat = ChatByHand(api.stack, UUID((await api.create())["id"]))
        await chat.send("next")
        for _ in range(2):
            await chat.acquire()
            await chat.attempt()
            await chat.commit("done")
            await chat.finish()
        await client.until(heard(2))
    assert [status for _, _, status in shown(client)] == ["running", "waiting"]


async def test_a_watcher_hears_what_is_about_a_chat(
    api: Api, projecting: Projecting
) -> None:
    """Each change by itself, the chat as it is; every frame as the document has it."""
    async with projecting(), watching(api) as client:
        tools = [{"name": "ask", "input_schema": {}}]
        created = await api.create(client_tools=tools)
        chat = ChatByHand(api.stack, UUID(created["id"]))
        await chat.rename("tea")
        await chat.acquire()
        await chat.attempt()
        await chat.ask_client()
        await client.until(heard(6))
        assert [(kind, status) for kind, _, status in shown(client)] == [
            ("created", "running"),
            ("title_change", "running"),
            ("chat_change", "running"),
            ("chat_change", "running"),
            ("status_change", "requires_action"),
            ("action_required", "requires_action"),
        ]
    frames = told(client)
    assert frames[1].data["chat"]["title"] == "tea"
    (call,) = frames[5].data["tool_calls"]
    assert call["tool_name"] == "ask"
    for frame in frames:
        WATCH_FRAMES[str(frame.event)].model_validate(frame.data)


async def test_archive_is_a_deletion_to_watchers_and_a_fork_a_creation(
    api: Api, projecting: Projecting
) -> None:
    chat = await a_turn(api, "tea")
    await api.project()
    path = f"/api/v1/chats/{chat}"
    async with projecting(), watching(api) as client:
        for archived in (True, False):
            answer = await api.http.patch(path, json={"archived": archived})
            assert answer.status_code == 204, answer.text
        fork = (await api.post(f"{path}/fork", {})).json()
        await client.until(heard(3))
    assert shown(client) == [
        ("deleted", chat, None),
        ("created", chat, "waiting"),
        ("created", fork["id"], "waiting"),
    ]
    assert told(client)[2].data["chat"]["forked_from"]["chat_id"] == chat


async def test_nobody_hears_of_the_chats_of_others(
    api: Api, projecting: Projecting
) -> None:
    async with projecting(), watching(api, **bearer(api.other_token)) as other:
        async with watching(api) as client:
            await a_turn(api)
            await client.until(heard(2))
        await api.post(
            "/api/v1/chats",
            {"content": [{"type": "text", "text": "mine"}]},
            headers=bearer(api.other_token),
        )
        await other.until(heard(1))
    assert [kind for kind, *_ in shown(other)] == ["created"]


async def test_cut_after_each_frame_it_hears_each_thing_exactly_once(
    api: Api, projecting: Projecting
) -> None:
    async with watching(api, "?after=0") as whole, projecting():
        for number in range(4):
            await a_turn(api, f"{number}", fails=number % 2 == 1)
        await whole.until(heard(8))
    frames = told(whole)
    assert len({frame.id for frame in frames}) == len(frames)
    for place, frame in enumerate(frames, start=1):
        async with watching(api, f"?after={frame.id}") as rest:
            pass
        assert told(rest) == frames[place:]
    # the header wins, as in EventSource's own reconnect
    last = {"last-event-id": str(frames[-2].id)}
    async with watching(api, "?after=0", **last) as rest:
        assert told(rest) == frames[-1:]


async def test_a_watcher_that_reconnects_while_things_happen_misses_none(
    api: Api, projecting: Projecting
) -> None:
    """Each connection is cut at its first frame; the next begins with the one after."""
    heard_: list[tuple[Any, ...]] = []
    async with projecting():
        writing = asyncio.gather(*(a_turn(api, f"{n}") for n in range(6)))
        after = "0"
        while len(heard_) < 12:
            async with following(api, f"{WATCH}?after={after}") as client:
                await client.until(heard(1))
            first = told(client)[0]
            heard_.append((first.data["chat"]["id"], first.data["kind"]))
            after = str(first.id)
        ids = await writing
    assert sorted(heard_) == sorted(
        (chat_id, kind) for chat_id in ids for kind in ("created", "status_change")
    )


async def test_a_place_whose_rows_are_gone_gets_a_resync_and_goes_on(
    api: Api, projecting: Projecting
) -> None:
    async with watching(api, "?after=0") as whole, projecting():
        for _ in range(3):
            await a_turn(api)
        await whole.until(heard(6))
    ids = [frame.id for frame in told(whole)]
    async with await connect(
        api.stack.database, role="projector", name="test"
    ) as connection:
        await connection.execute("DELETE FROM read.watch_feed__v1 WHERE number <= 3")
    for after in ("0", ids[0], ids[1], ids[2]):
        expired = after != ids[2]
        async with watching(api, f"?after={after}") as client:
            names = [frame.event for frame in client.frames]
            if expired:
                assert names == ["resync", "caught_up"]
                assert client.frames[0].data["reason"] == "expired"
                assert client.frames[0].id == ids[-1]
    async with await connect(
        api.stack.database, role="projector", name="test"
    ) as connection:
        await connection.execute("DELETE FROM read.watch_feed__v1")
    # the head stays known, so who has heard everything is not sent away
    async with watching(api, f"?after={ids[-1]}") as client:
        assert [frame.event for frame in client.frames] == ["caught_up"]


async def test_an_id_of_another_history_gets_a_resync(
    api: Api, projecting: Projecting
) -> None:
    async with watching(api, "?after=0") as whole, projecting():
        await a_turn(api)
        await whole.until(heard(2))
    for number, reason in ((1, "history"), (2, "history"), (3, "ahead")):
        lost = format_place("w", place_of(number, b"\xff" * 4))
        async with watching(api, f"?after={lost}") as client:
            pass
        names = [(f.event, f.data.get("reason")) for f in client.frames]
        assert names == [("resync", reason), ("caught_up", None)]


async def test_rows_go_seven_days_after_they_were_recorded(api: Api) -> None:
    await a_turn(api, "old")
    await api.project()
    async with await connect(
        api.stack.database, role="projector", name="test"
    ) as connection:
        await connection.execute(
            "UPDATE read.watch_feed__v1 SET recorded_at = recorded_at - interval"
            " '7 days 1 second' WHERE number = 1"
        )
        await a_turn(api, "new")
        await api.project()
        found = await connection.execute(
            "SELECT array_agg(number ORDER BY number) FROM read.watch_feed"
        )
        assert await found.fetchone() == ([2, 3, 4],)


async def swap_to_a_rebuild(database: Database) -> None:
    """Readers see a version made from the log as it is now."""
    await rebuild(database, WATCH_FEED)
    async with await connect(database, role="projector", name="swap") as connection:
        old = await active(connection, "watch_feed")
        new = await pick(connection, "watch_feed", None)
        assert (await diff(connection, WATCH_FEED, old, new)).empty
        await swap(connection, database, WATCH_FEED, new)


async def purge(database: Database, chat_id: str) -> None:
    async with await connect(database, role="dba", name="test") as connection:
        await connection.execute(
            "SELECT FROM es.purge_stream('chat', %s, 'admin', 'asked for')", (chat_id,)
        )


async def test_after_a_purge_and_a_swap_no_id_means_another_row(
    api: Api, projecting: Projecting
) -> None:
    """Who heard of the purged chat starts over; who did not goes on at the same row."""
    database = api.stack.database
    async with watching(api, "?after=0") as whole, projecting():
        before = await a_turn(api, "before")
        erased = await a_turn(api, "erased")
        after = await a_turn(api, "after")
        await purge(database, erased)
        await whole.until(heard(7))
        assert shown(whole)[-1] == ("deleted", erased, None)
        ids = [str(frame.id) for frame in told(whole)]
        await swap_to_a_rebuild(database)
        # an open one is sent away from its numbers, too
        api.stack.feeds.watchers.ring()
        await whole.until(seen("resync"))
        late = await a_turn(api, "late")
        await whole.until(heard(9))
    expected = [(b, "running") for b in (before, after)]
    resync = whole.named("resync")[0]
    assert [(f.event, f.data["chat"]["id"]) for f in told(whole)[7:]] == [
        ("created", late),
        ("status_change", late),
    ]
    async with watching(api, "?after=0") as fresh:
        pass
    assert [(c, s) for k, c, s in shown(fresh) if k == "created"] == [
        *expected,
        (late, "running"),
    ]
    for number, cursor in enumerate(ids, start=1):
        async with watching(api, f"?after={cursor}") as client:
            pass
        if number <= 2:
            assert told(client) == told(fresh)[number:]
        else:
            assert [f.event for f in client.frames] == ["resync", "caught_up"]
    async with watching(api, f"?after={resync.id}") as client:
        pass
    assert told(client) == told(whole)[7:]


async def test_a_chat_that_was_quiet_for_long_is_still_told_as_deleted(
    api: Api, projecting: Projecting
) -> None:
    """Its rows, and all others of its owner, have gone before it."""
    chat = await a_turn(api)
    await api.project()
    async with await connect(
        api.stack.database, role="projector", name="test"
    ) as connection:
        await connection.execute("DELETE FROM read.watch_feed__v1")
    async with projecting(), watching(api) as client:
        await purge(api.stack.database, chat)
        await client.until(heard(1))
    assert shown(client) == [("deleted", chat, None)]


async def test_a_ticket_opens_the_feed_of_its_owner(
    api: Api, projecting: Projecting
) -> None:
    ticket = (await api.post("/api/v1/stream-tickets", {})).json()["ticket"]
    del api.http.headers["authorization"]
    async with projecting(), watching(api, f"?ticket={ticket}") as client:
        api.http.headers["authorization"] = f"Bearer {api.token}"
        await a_turn(api)
        await client.until(heard(2))
    del api.http.headers["authorization"]
    assert (await api.get(f"{WATCH}?ticket={ticket}")).status_code == 401


async def test_a_ticket_for_a_chat_does_not_open_the_feed(api: Api) -> None:
    chat = await api.create()
    taken = await api.post("/api/v1/stream-tickets", {"chat_id": chat["id"]})
    answer = await api.get(f"{WATCH}?ticket={taken.json()['ticket']}")
    assert answer.status_code == 401


@pytest.mark.parametrize("after", ["7", "x", "A" * 18])
async def test_what_is_no_id_is_refused(api: Api, after: str) -> None:
    answer = await api.get(f"{WATCH}?after={after}")
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-cursor"


async def test_only_watchers_whose_chats_moved_read(
    api: Api, projecting: Projecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look per wake-up for all of them; the others stay asleep."""
    async with (
        projecting(),
        watching(api, **bearer(api.other_token)) as other,
        watching(api) as client,
    ):
        await a_turn(api)
        await client.until(heard(2))
        bells = api.stack.feeds.watchers.bells
        assert len(bells.held()) == 2
        sleeping = bells.of(next(key for key in bells.held() if key != api.user_id))
        await a_turn(api)
        await client.until(heard(4))
        assert not sleeping.is_set()
        assert told(other) == []


async def test_watchers_say_bye_when_the_process_stops(api: Api) -> None:
    async with watching(api) as client:
        api.stack.feeds.end("shutdown")
        await client.until(seen("bye"))
        async with asyncio.timeout(PATIENCE_S):
            await client.ended.wait()
    assert client.named("bye")[0].data["reason"] == "shutdown"
