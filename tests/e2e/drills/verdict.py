"""After the drill: is everything there once, everywhere, and does nothing run?"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg

from service.client.client import Client
from service.client.shapes import Chat, RecordedEvent, text_of
from service.db.pool import Database
from service.scaletest.compare import Asked, differences, pages
from tests.e2e.commands import command
from tests.e2e.drills.fleet import Fleet, environ
from tests.e2e.drills.follower import PATIENCE_S, Follower
from tests.e2e.drills.talk import Talk
from tests.reducer import ChatOnScreen

AT_REST = ("waiting", "error")


async def assert_whole(fleet: Fleet, database: Database, talks: Sequence[Talk]) -> None:
    """Everything that the drill promises."""
    fleet.assert_alive()
    assert fleet.complaints == []
    async with fleet.client() as client:
        for talk in talks:
            await _assert_chat(client, talk)
        await _assert_list(client, talks)
    await assert_log(fleet, database)


async def assert_log(fleet: Fleet, database: Database) -> None:
    """Positions, digests and borders; read models at the head; nobody is stuck."""
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        head = await _value(connection, "SELECT max(position) FROM es.events")
        problems = await connection.execute(
            "SELECT * FROM es.verify_positions(1, %s)", (head,)
        )
        assert await problems.fetchall() == []
        await _caught_up(connection)
        stuck = await connection.execute("SELECT * FROM ops.stuck_chats")
        assert await stuck.fetchall() == []
        parked = await _value(connection, "SELECT count(*) FROM ops.parked_streams")
        assert parked == 0
    ours = environ(fleet)
    for asked in (("events", "verify"), ("doctor",)):
        ran = await command(ours, *asked)
        assert ran.code == 0, f"{asked}: {ran.out}{ran.err}"


async def _caught_up(connection: psycopg.AsyncConnection[Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await _value(
            connection, "SELECT max(lag_events) FROM ops.projection_lag"
        ):
            await connection.execute("SELECT pg_sleep(0.02)")


async def _value(connection: psycopg.AsyncConnection[Any], query: str) -> Any:
    row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return row[0]


async def _assert_chat(client: Client, talk: Talk) -> None:
    follower, chat = talk.follower, talk.chat
    fresh = await _fresh(client, chat, after=None)
    assert fresh.view.status in AT_REST, f"{chat['id']} is {fresh.view.status}"
    replay = await _fresh(client, chat, after="0")
    told = len(replay.of_log)
    await follower.until(lambda: len(follower.of_log) >= told)
    await talk.second.until(lambda: talk.second.frames)
    first = _first_held(talk.second)
    await talk.second.until(
        lambda: shown(talk.second.view, first) == shown(fresh.view, first)
    )
    assert follower.of_log == replay.of_log, "each frame of the log once, in order"
    assert shown(follower.view) == shown(fresh.view)
    assert _once(follower), "an id came twice"
    _assert_header(await client.get(chat), follower.view, talk)
    events = [event async for event in client.events(chat)]
    paged = await pages(client, chat, at_least=events[-1]["version"])
    users = sum(m["role"] == "user" for m in follower.view.messages.values())
    asked = Asked(turns=users)
    assert list(differences(follower.view.messages, paged, events, asked)) == []
    assert _taken(events) == +talk.said, "each message that was taken is there once"
    _assert_answers(follower.view)


async def _fresh(client: Client, chat: Chat, *, after: str | None) -> Follower:
    """The chat as who comes now sees it."""
    follower = Follower(client, chat, after=after)
    await follower.until(lambda: follower.view.caught_up)
    await follower.stop()
    return follower


def _first_held(follower: Follower) -> int:
    """Of what came before its snapshot's messages a follower knows nothing."""
    begun = follower.frames[0]
    assert begun.name == "snapshot"
    return min((message["id"] for message in begun.data["messages"]), default=0)


def shown(view: ChatOnScreen, first: int = 0) -> dict[str, Any]:
    """What a client shows; of messages the last, for snapshots have no more."""
    return {
        "status": view.status,
        "title": view.title,
        "error": view.error,
        "messages": [m for i, m in sorted(view.messages.items()) if i >= first][-50:],
        "queue": view.queue,
        "preview": view.preview,
        "action": view.action,
        "retry": view.retry,
    }


def _once(follower: Follower) -> bool:
    ids = [f.id for f in follower.frames if f.name != "caught_up"]
    names = {f.name for f in follower.frames}
    return len(ids) == len(set(ids)) and not names & {"resync", "snapshot"}


def _assert_header(header: Chat, view: ChatOnScreen, talk: Talk) -> None:
    assert header["status"] == view.status
    assert header["last_error"] == view.error
    assert header["title"] == view.title
    if talk.title:
        assert header["title"] == talk.title


def _taken(events: Sequence[RecordedEvent]) -> Counter[str]:
    """What the user said, by the log: each text where it came in."""
    found = Counter[str]()
    for event in events:
        data = event["data"]
        sent = event["type"] == "message_appended" and data["role"] == "user"
        if event["type"] == "message_queued" or (sent and not data.get("queued_id")):
            found[text_of(data["parts"])] += 1
    return found


def _assert_answers(view: ChatOnScreen) -> None:
    """Who counted to the end counted right; who was cut off, up to there."""
    ends = {turn.id: turn.outcome for turn in view.turns}
    asked: tuple[int, str] = (0, "")
    for id_, message in sorted(view.messages.items()):
        text = text_of(message["content"])
        if message["role"] == "user":
            asked = (id_, text)
        elif message["role"] == "assistant" and asked[1].startswith("count "):
            whole = " ".join(str(n) for n in range(1, int(asked[1][6:]) + 1))
            assert whole.startswith(text)
            assert text == whole or ends.get(asked[0]) != "finished"


async def _assert_list(client: Client, talks: Sequence[Talk]) -> None:
    """The read model has every chat, as it is."""
    listed = {c["id"]: c for c in (await client.chats(limit=100))["chats"]}
    for talk in talks:
        header = await client.get(talk.chat)
        for name in ("status", "title", "updated_at", "last_error"):
            assert listed[talk.chat["id"]][name] == header[name]
