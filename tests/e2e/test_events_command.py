"""`parley events`: what people and programs see of the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio

from service import wire
from service.testing.parley import Parley
from tests.e2e.commands import COMMAND_S, command, started

TAMPER = """
UPDATE es.events SET data = jsonb_set(data, '{title}', '"another"')
WHERE version = 1 AND stream_id = %s
"""


@pytest_asyncio.fixture
async def chat(fresh_parley: Parley) -> AsyncIterator[dict[str, Any]]:
    """The only chat of a log: one turn, at rest."""
    fresh_parley.model.answer("Good \x1b[31mday.")
    made = await fresh_parley.create("hello there")
    await fresh_parley.turn_finished(made)
    yield {**made}


async def test_tail_shows_the_end_of_the_log(
    fresh_parley: Parley, chat: dict[str, Any]
) -> None:
    ran = await command(
        fresh_parley.environ, "events", "tail", "--no-follow", "-n", "3"
    )
    first, *_, last = ran.out.splitlines()
    assert len(ran.out.splitlines()) == 3
    assert "message_appended" in first
    assert "assistant: Good [31mday." in first  # no escape reaches the terminal
    assert chat["id"] in first
    assert "turn_finished" in last
    ran = await command(
        fresh_parley.environ, "events", "tail", "--no-follow", "-n", "100", "--json"
    )
    assert ran.lines == await fresh_parley.events(chat)


@pytest.mark.parametrize("one_chat", [False, True])
async def test_tail_goes_on_with_what_comes(
    fresh_parley: Parley, chat: dict[str, Any], one_chat: bool
) -> None:
    only = (chat["id"],) if one_chat else ()
    seen: list[dict[str, Any]] = []
    arguments = ("events", "tail", *only, "-n", "1", "--json")
    async with started(fresh_parley.environ, *arguments) as process:
        assert process.stdout is not None
        async with asyncio.timeout(COMMAND_S):
            seen.append(wire.loads(await process.stdout.readline()))
            other = await fresh_parley.create("count 1")
            await fresh_parley.turn_finished(other)
            await fresh_parley.send(chat, "count 2")
            await fresh_parley.turn_finished(chat)
            while len([e for e in seen if e["type"] == "turn_finished"]) < 3 - one_chat:
                seen.append(wire.loads(await process.stdout.readline()))
    streams = {event["stream_id"] for event in seen}
    assert streams == ({chat["id"]} if one_chat else {chat["id"], other["id"]})
    mine = [event for event in seen if event["stream_id"] == chat["id"]]
    assert mine == (await fresh_parley.events(chat))[-len(mine) :]


async def test_show_is_the_timeline_of_a_chat(
    fresh_parley: Parley, chat: dict[str, Any]
) -> None:
    ran = await command(fresh_parley.environ, "events", "show", chat["id"])
    title, *lines = ran.out.splitlines()
    assert title == "'hello there', waiting"
    events = await fresh_parley.events(chat)
    assert len(lines) == len(events)
    assert lines[0].split()[0] == "1"
    assert "| chat_created" in lines[0]
    assert "' message_appended" in lines[1]
    ran = await command(
        fresh_parley.environ, "events", "show", chat["id"], "--after", "2", "--json"
    )
    assert ran.lines == events[2:]
    ran = await command(fresh_parley.environ, "events", "show", str(uuid4()))
    assert ran.code == 1
    assert "the log has no stream" in ran.err


async def test_diff_of_two_versions(fresh_parley: Parley, chat: dict[str, Any]) -> None:
    # 1 is in the middle of an append: its end is 2
    ran = await command(
        fresh_parley.environ, "events", "diff", chat["id"], "1", "--json"
    )
    told = ran.json
    newest = len(await fresh_parley.events(chat))
    assert (told["first"], told["second"]) == (2, newest)
    found = {d["path"]: d for d in told["differences"]}
    assert found["status"] == {
        "path": "status", "before": "running", "after": "waiting",
    }  # fmt: skip
    (answer,) = (d for path, d in found.items() if path.startswith("messages."))
    assert "before" not in answer
    assert answer["after"]["role"] == "assistant"
    ran = await command(fresh_parley.environ, "events", "diff", chat["id"], "0", "2")
    assert 'title\n  + "hello there"' in ran.out
    ran = await command(fresh_parley.environ, "events", "diff", chat["id"], "99")
    assert ran.code == 1
    assert f"the chat is at version {newest}; there is no 99" in ran.err


async def test_verify_and_digest(fresh_parley: Parley, chat: dict[str, Any]) -> None:
    environ = fresh_parley.environ
    count = len(await fresh_parley.events(chat))
    ran = await command(environ, "events", "verify")
    assert (ran.code, ran.out) == (0, f"{count} events checked: whole\n")
    ran = await command(environ, "events", "verify", chat["id"], "--json")
    assert ran.json == {"events": count, "whole": True, "problems": []}
    kept = await command(environ, "events", "digest")
    position, digest = kept.out.split()
    assert position == str(count)

    await fresh_parley.turn_finished(await fresh_parley.create("count 1"))
    arguments = ("events", "digest", "--at", position, "--expect")
    ran = await command(environ, *arguments, digest, "--json")
    assert (ran.code, ran.json["same"], ran.json["streams"]) == (0, True, 1)
    ran = await command(environ, *arguments, "0" * 64)
    assert ran.code == 1
    assert "another digest was expected" in ran.err
    assert (await command(environ, "events", "digest")).out != kept.out


async def test_verify_finds_an_event_that_was_changed(
    fresh_parley: Parley, chat: dict[str, Any]
) -> None:
    url = fresh_parley.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as c:
        await c.execute("ALTER TABLE es.events DISABLE TRIGGER USER")
        await c.execute(TAMPER, (chat["id"],))
    ran = await command(fresh_parley.environ, "events", "verify", "--json")
    assert ran.code == 1
    (problem,) = ran.json["problems"]
    assert (problem["stream_id"], problem["version"]) == (chat["id"], 1)
    for only in ((), (chat["id"],), ("--first", "1", "--last", "1")):
        ran = await command(fresh_parley.environ, "events", "verify", *only)
        assert ran.code == 1
        assert "the event differs from its payload hash" in ran.out
    ran = await command(fresh_parley.environ, "events", "verify", "--first", "2")
    assert ran.code == 0


async def test_export_goes_on_where_a_file_ends(
    fresh_parley: Parley, chat: dict[str, Any], tmp_path: Path
) -> None:
    environ, path = fresh_parley.environ, tmp_path / "log.ndjson"
    ran = await command(environ, "events", "export")
    assert ran.lines == await fresh_parley.events(chat)
    assert "events exported, up to position" in ran.err
    assert (await command(environ, "events", "export", str(path))).code == 0
    assert path.read_text() == ran.out

    ran = await command(environ, "events", "export", str(path))
    assert ran.code == 1
    assert "is there already; go on with it by --resume" in ran.err
    # as a run that was killed leaves it: its last line cut in the middle
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 20)
    await fresh_parley.turn_finished(await fresh_parley.create("count 1"))
    ran = await command(environ, "events", "export", str(path), "--resume", "--json")
    assert ran.code == 0
    whole = await command(environ, "events", "export")
    assert path.read_text() == whole.out
    assert wire.loads(ran.err)["position"] == len(whole.lines)
    ran = await command(environ, "events", "export", str(path), "--resume")
    assert ran.err.startswith("0 events exported")
    ran = await command(environ, "events", "export", "--after", "3")
    assert ran.lines == whole.lines[3:]


async def test_export_refuses_a_file_of_another_log(
    fresh_parley: Parley, chat: dict[str, Any], tmp_path: Path
) -> None:
    environ, path = fresh_parley.environ, tmp_path / "log.ndjson"
    await command(environ, "events", "export", str(path))
    other = path.read_text().replace(chat["id"], str(uuid4()))
    path.write_text(other)
    ran = await command(environ, "events", "export", str(path), "--resume")
    assert ran.code == 1
    assert "it is an export of another log" in ran.err
    assert path.read_text() == other
    ran = await command(environ, "events", "export", "/dev/null")
    assert ran.code == 0
    ran = await command(environ, "events", "export", str(tmp_path / "no" / "folder"))
    assert (ran.code, "cannot write to" in ran.err) == (1, True)
    path.write_text("not an event\n")
    ran = await command(environ, "events", "export", str(path), "--resume")
    assert ran.code == 1
    assert "does not end with an exported event" in ran.err


async def test_nobody_reads_on(fresh_parley: Parley, chat: dict[str, Any]) -> None:
    async with started(fresh_parley.environ, "events", "tail", "-n", "3") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  `| head -1`
        await fresh_parley.send(chat, "count 1")
        async with asyncio.timeout(COMMAND_S):
            assert await process.wait() == 1
            assert await process.stderr.read() == b""


async def test_colours_and_bars_are_for_terminals(
    fresh_parley: Parley, chat: dict[str, Any]
) -> None:
    terminal = fresh_parley.environ | {"FORCE_COLOR": "1", "TERM": "xterm"}
    for arguments in (("show", chat["id"]), ("verify",)):
        ran = await command(terminal, "events", *arguments)
        assert "\x1b[" in ran.out
        ran = await command(fresh_parley.environ, "events", *arguments)
        assert "\x1b" not in ran.out + ran.err
    ran = await command(terminal, "events", "verify")
    assert "verifying" in ran.err
    ran = await command(terminal, "events", "verify", "--json")
    assert ran.json["whole"]
