"""The other commands, as processes beside a running service."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from service import wire
from service.client.client import ApiError
from tests.e2e.conftest import PARLEY, Serve, Served

COMMAND_S = 60.0


@pytest_asyncio.fixture
async def served(serve: Serve, on_database: dict[str, str]) -> AsyncIterator[Served]:
    async with serve(**on_database, scripted_rate="500") as running:
        yield running


async def parley(
    *arguments: str, typed: str | None = None, code: int = 0, **environ: str
) -> str:
    """Run a command to its end; gives its standard output."""
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), *arguments,
        env=dict(os.environ) | environ,  # noqa: TID251  PATH and HOME
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(COMMAND_S):
        out, err = await process.communicate((typed or "").encode())
    assert process.returncode == code, err.decode()
    if code:
        assert "Traceback" not in err.decode()
        return err.decode()
    return out.decode()


def settings(on_database: dict[str, str]) -> dict[str, str]:
    return {f"PARLEY_{name.upper()}": value for name, value in on_database.items()}


def client_of(served: Served) -> dict[str, str]:
    return {"PARLEY_URL": served.url, "PARLEY_TOKEN": served.token}


async def test_tokens_are_made_listed_and_revoked(
    served: Served, on_database: dict[str, str]
) -> None:
    environ = settings(on_database)
    made = wire.loads(
        await parley("token", "create", "--name", "mine", "--json", **environ)
    )
    async with served.client(made["token"]) as client:
        await client.chats()
    listed = wire.loads(await parley("token", "list", "--json", **environ))
    assert [t["name"] for t in listed] == ["start", "mine"]
    assert made["token"] not in str(listed)
    table = await parley("token", "list", **environ)
    assert all(word in table for word in ("mine", listed[0]["id"]))
    await parley("token", "revoke", made["id"], **environ)
    again = await parley("token", "revoke", made["id"], code=1, **environ)
    assert "there is no token" in again
    listed = wire.loads(await parley("token", "list", "--json", **environ))
    assert [bool(t["revoked_at"]) for t in listed] == [False, True]
    plain = (await parley("token", "create", **environ)).strip()
    async with served.client(plain) as client:
        await client.chats()


async def test_a_revoked_token_is_refused(
    served: Served, on_database: dict[str, str]
) -> None:
    environ = settings(on_database)
    made = wire.loads(await parley("token", "create", "--json", **environ))
    await parley("token", "revoke", made["id"], **environ)
    async with served.client(made["token"]) as client:
        with pytest.raises(ApiError) as refused:
            await client.chats()
    assert refused.value.status == 401


async def test_tokens_beside_a_service_with_an_embedded_database(
    serve: Serve, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    async with serve("--data-dir", data) as served:
        token = (await parley("token", "create", "--data-dir", data)).strip()
        async with served.client(token) as client:
            await client.chats()
    # and without one
    assert "start" in await parley("token", "list", "--data-dir", data)


async def test_follow_prints_what_is_said(served: Served) -> None:
    async with served.client() as client:
        chat = await client.create("count 5")
    command = ("follow", chat["id"], "--after", "0")
    assert await _until(command, "1 2 3 4 5", **client_of(served))


async def test_follow_as_json_can_be_resumed(served: Served) -> None:
    async with served.client() as client:
        chat = await client.create("count 5")
    command = ("follow", chat["id"], "--json", "--after", "0")
    lines = await _until(command, '"turn_finished"', **client_of(served))
    frames = [wire.loads(line) for line in lines]
    assert {"id", "event", "data"} == set(frames[0])
    middle = len(frames) // 2
    command = ("follow", chat["id"], "--json", "--after", frames[middle]["id"])
    rest = await _until(command, '"turn_finished"', **client_of(served))
    resumed = [wire.loads(line) for line in rest]
    assert _durable(resumed) == _durable(frames[middle + 1 :])


async def test_talk_through_a_pipe(served: Served) -> None:
    out = await parley("chat", typed="count 4\ncount 3\n", **client_of(served))
    assert "1 2 3 4\n" in out
    assert "1 2 3\n" in out.partition("1 2 3 4\n")[2]


async def test_talk_goes_on_with_a_chat(served: Served) -> None:
    async with served.client() as client:
        chat = await client.create("count 2")
    out = await parley(
        "chat", "--chat", chat["id"], typed="count 3\n", **client_of(served)
    )
    assert "count 2" in out
    assert "1 2 3\n" in out


async def test_what_a_person_can_mend_is_one_line(served: Served) -> None:
    environ = client_of(served)
    nobody = str(UUID(int=1))
    said = await parley("follow", nobody, code=1, **environ)
    assert (
        said
        == "parley: 404 Chat not found: there is no such chat, or it is not yours\n"
    )
    said = await parley("follow", nobody, code=1, PARLEY_URL=served.url)
    assert said.startswith("parley: a token is needed")
    said = await parley("chat", "--chat", nobody, code=1, **environ)
    assert said.startswith("parley: 404")
    said = await parley("serve", "--port", "99999", code=1)
    assert said.startswith("parley: PARLEY_PORT:")
    said = await parley("serve", "--roles", "api,cook", code=1)
    assert "unknown roles ['cook']" in said


@pytest.mark.skipif(shutil.which("curl") is None, reason="pastes curl commands")
async def test_what_serve_prints_can_be_pasted(on_database: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), "serve", "--port", "0",
        env=dict(os.environ) | settings(on_database),  # noqa: TID251  PATH and HOME
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(COMMAND_S):
            lines = [(await process.stdout.readline()).decode() for _ in range(3)]
        runs, create, follow = lines
        assert runs.startswith("Parley runs at http://127.0.0.1:")
        made = await _shell(create.removeprefix("create a chat: "))
        assert wire.loads(made)["status"] == "running"
        # follows for ever: -m ends it
        seen = await _shell(follow.removeprefix("and follow it: ").strip() + " -m 5")
        assert seen.startswith("retry: ")
        assert "event: turn_finished" in seen
    finally:
        process.terminate()
        rest = await process.stdout.read()
        assert await process.wait() == 0
    assert rest == b""


async def _shell(command: str) -> str:
    process = await asyncio.create_subprocess_shell(
        command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(COMMAND_S):
        out, _ = await process.communicate()
    return out.decode()


async def test_migrate_says_what_it_did(empty_database: str) -> None:
    environ = {"PARLEY_DATABASE_URL": empty_database}
    steps = wire.loads(await parley("migrate", "--json", **environ))["steps"]
    assert any("create-event-log" in step for step in steps)
    assert wire.loads(await parley("migrate", "--json", **environ)) == {"steps": []}
    assert await parley("migrate", **environ) == "the schema is current\n"


async def _until(command: tuple[str, ...], text: str, **environ: str) -> list[str]:
    """Lines of a command that goes on for ever, up to the one with this text."""
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), *command,
        env=dict(os.environ) | environ,  # noqa: TID251  PATH and HOME
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(COMMAND_S):
            while line := (await process.stdout.readline()).decode():
                lines.append(line)
                if text in line:
                    return lines
    finally:
        process.terminate()
        await process.stdout.read()
        await process.wait()
    raise AssertionError(f"it ended before {text!r}: {lines}")


def _durable(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Without parts and caught_up, which depend on when one looks."""
    passing = ("message_part", "caught_up")
    return [(f["event"], f["id"]) for f in frames if f["event"] not in passing]
