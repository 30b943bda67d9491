"""From start to stop: one line, a streamed turn, a clean end, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx2
import psycopg
import pytest

from service.api.server import bind
from service.client.client import ApiError, Frame
from service.db.embedded.postmaster import read_pid_file
from tests.e2e.conftest import PARLEY, Log, Serve, Served

TURN_S = 30.0


async def play(served: Served, text: str, *, token: str | None = None) -> list[Frame]:
    """Create a chat and follow it to the end of its turn."""
    async with served.client(token) as client:
        chat = await client.create(text)
    return await follow(served, chat["id"], token=token)


async def follow(
    served: Served, chat_id: str, *, token: str | None = None
) -> list[Frame]:
    """All frames of a chat from the start to the end of its first turn."""
    frames: list[Frame] = []
    async with asyncio.timeout(TURN_S), served.client(token) as client:
        async for frame in client.follow(chat_id, after="0"):
            frames.append(frame)
            if frame.name == "turn_finished":
                return frames
    raise AssertionError("the stream ended")


def streamed(frames: list[Frame]) -> str:
    parts = [f.data["part"] for f in frames if f.name == "message_part"]
    return "".join(part["text"] for part in parts if part["type"] == "text")


def committed(frames: list[Frame]) -> str:
    return "".join(
        part["text"]
        for f in frames
        if f.name == "message" and f.data["message"]["role"] == "assistant"
        for part in f.data["message"]["content"]
        if part["type"] == "text"
    )


async def test_a_turn_is_streamed_token_by_token(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database) as served:
        assert set(served.ready) == {"url", "token", "database_url"}
        assert served.ready["database_url"] == on_database["database_url"]
        frames = await play(served, "count 12")
        expected = " ".join(str(n) for n in range(1, 13))
        assert streamed(frames) == expected
        assert committed(frames) == expected
        assert sum(f.name == "message_part" for f in frames) > 3
        assert frames[-1].data["outcome"] == "finished"
        assert await served.stop() == 0
        assert served.rest == b""


async def test_the_embedded_database_keeps_data_and_tokens_over_restarts(
    serve: Serve, tmp_path: Path
) -> None:
    data = tmp_path / "new" / "folder"
    async with serve("--data-dir", str(data)) as served:
        first = served.token
        await play(served, "count 3")
        written = read_pid_file(data / "pgdata")
        assert written is not None
        assert await served.stop(signal.SIGINT) == 0
        assert served.rest == b""
    assert not _alive(written.pid)
    async with serve("--data-dir", str(data)) as served:
        assert served.token != first
        for token in (first, served.token):
            async with served.client(token) as client:
                (chat,) = (await client.chats())["chats"]
                assert chat["title"] == "count 3"
        assert await served.stop() == 0


async def test_a_second_service_on_the_same_folder_says_so(
    serve: Serve, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    async with serve("--data-dir", data):
        with pytest.raises(AssertionError, match="uses the data folder"):
            async with serve("--data-dir", data):
                pass


async def test_a_taken_port_is_told_before_anything_is_started(
    serve: Serve, on_database: dict[str, str], tmp_path: Path
) -> None:
    async with serve(**on_database) as served:
        port = served.url.rpartition(":")[2]
        data = tmp_path / "unused"
        with pytest.raises(AssertionError, match=f"port {port} on 127.0.0.1 is taken"):
            async with serve("--port", port, "--data-dir", str(data)):
                pass
        assert not data.exists()


async def test_stop_sends_followers_away_and_gives_the_turn_back(
    serve: Serve, on_database: dict[str, str]
) -> None:
    """Stopped in the middle of a message: another process finishes the turn."""
    settings = on_database | {"scripted_rate": "20", "shutdown_grace_s": "0.5"}
    async with serve(**settings) as served, served.client() as client:
        chat = await client.create("count 60")
        names: list[str] = []
        async with asyncio.timeout(TURN_S):
            async with served.client() as follower:
                async for frame in follower.follow(chat["id"], after="0"):
                    names.append(frame.name)
                    if names.count("message_part") == 3:
                        break
        assert await served.stop() == 0
    async with serve(**(on_database | {"scripted_rate": "500"})) as served:
        frames = await follow(served, chat["id"])
        assert frames[-1].data["outcome"] == "finished"
        assert committed(frames) == " ".join(str(n) for n in range(1, 61))


async def test_stop_says_bye_to_followers(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database) as served:
        async with served.client() as client:
            chat = await client.create("count 2")
        headers = {"authorization": f"Bearer {served.token}"}
        url = f"{served.url}/api/v1/chats/{chat['id']}/stream?after=now"
        raw = b""
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            http.stream("GET", url) as response,
            asyncio.timeout(TURN_S),
        ):
            async for piece in response.aiter_bytes():
                if b"event: caught_up" in piece:
                    served.process.send_signal(signal.SIGTERM)
                raw += piece
        *_, last, rest = raw.split(b"\n\n")
        assert rest == b""
        assert b"event: bye" in last
        assert b'"reason":"shutdown"' in last
        assert await served.ended() == 0


async def test_stop_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), "serve", "--json", "--port", "0",
        "--data-dir", str(tmp_path / "d"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    log = Log(process.stderr)
    await log.has("making a PostgreSQL cluster")
    process.terminate()
    assert process.stdout is not None
    async with asyncio.timeout(TURN_S):
        assert await process.stdout.read() == b""
        assert await process.wait() == 0
    assert "Traceback" not in await log.whole()
    assert read_pid_file(tmp_path / "d" / "pgdata") is None


async def test_roles_in_processes_of_their_own(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with (
        serve("--roles", "api", **on_database) as api,
        serve("--roles", "worker", **on_database) as worker,
        serve("--roles", "projector", **on_database) as projector,
    ):
        assert worker.ready["url"] is None
        assert worker.ready["token"] is None
        frames = await play(api, "hello")
        assert frames[-1].data["outcome"] == "finished"
        async with asyncio.timeout(TURN_S), api.client() as client:
            while not (await client.chats())["chats"]:
                pass  # the projector is another process: ask again
        for served in (projector, worker, api):
            assert await served.stop() == 0
            assert served.rest == b""


async def test_sigkill_leaves_a_database_that_the_next_start_takes_over(
    serve: Serve, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    async with serve("--data-dir", data) as served:
        await play(served, "count 3")
        assert await served.stop(signal.SIGKILL) == -signal.SIGKILL
    async with serve("--data-dir", data) as served:
        await play(served, "count 3")
        assert await served.stop() == 0


async def test_a_database_without_the_schema_is_refused_without_migration(
    serve: Serve, empty_database: str
) -> None:
    with pytest.raises(AssertionError, match="run `parley migrate`"):
        async with serve("--no-migrate", database_url=empty_database):
            pass


async def test_a_database_that_is_not_there_is_told_in_one_line(serve: Serve) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=5"
    with pytest.raises(AssertionError, match="parley: cannot reach the database") as e:
        async with serve(database_url=nowhere):
            pass
    assert "Traceback" not in str(e.value)


async def test_a_wrong_token_is_refused(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database) as served:
        async with served.client("parley_" + "x" * 43) as client:
            with pytest.raises(ApiError) as refused:
                await client.chats()
        assert refused.value.status == 401


async def test_logs_hold_neither_tokens_nor_texts(
    serve: Serve, on_database: dict[str, str]
) -> None:
    async with serve(**on_database, log_level="debug", log_format="json") as served:
        await play(served, "tell me about cheese")
        assert await served.stop() == 0
        log = await served.log.whole()
    assert "service stopping" in log
    assert "cheese" not in log
    assert served.token not in log
    password = psycopg.conninfo.conninfo_to_dict(served.ready["database_url"]).get(
        "password"
    )
    assert password is None or password not in log


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_vital_signs_are_told(serve: Serve, on_database: dict[str, str]) -> None:
    async with serve(**on_database, metrics_public="1") as served:
        await play(served, "count 3")
        async with httpx2.AsyncClient(base_url=served.url) as http:
            text = (await http.get("/metrics")).text
    signs = {line.split(" ")[0]: line.split(" ")[1] for line in text.splitlines()}
    for name in (
        "appender_events_total", "appender_batches_total", "lease_heartbeats_total",
        "live_flushes_total", "live_parts_total", "appender_commit_seconds_count",
        "projector_events_total", "tail_position",
    ):  # fmt: skip
        assert float(signs[f"parley_{name}"]) > 0, name
    for name in (
        "appender_conflicts_total", "appends_waiting", "stream_followers",
        "listener_reconnects_total", "lease_losses_total", "guard_violations_total",
        "worker_running",
        'projection_lag_events{projection="chats"}',
    ):  # fmt: skip
        assert f"parley_{name}" in signs
    assert float(signs["parley_guard_violations_total"]) == 0


async def test_a_process_without_the_api_tells_its_vital_signs_elsewhere(
    serve: Serve, on_database: dict[str, str]
) -> None:
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    settings = on_database | {"metrics_port": str(port), "metrics_public": "1"}
    async with serve("--roles", "worker,projector", **settings) as served:
        assert served.ready["url"] is None
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/readyz")).status_code == 200
            text = (await http.get("/metrics")).text
            assert (await http.get("/api/v1/chats")).status_code == 404
        assert "parley_lease_held 0.0" in text
        assert "parley_projector_events_total 0.0" in text
        assert await served.stop() == 0


async def test_a_second_signal_does_not_wait_for_the_turn(
    serve: Serve, on_database: dict[str, str]
) -> None:
    settings = on_database | {"scripted_rate": "1", "shutdown_grace_s": "300"}
    async with serve(**settings) as served, served.client() as client:
        chat = await client.create("count 1000")
        async with asyncio.timeout(TURN_S):
            async for frame in client.follow(chat["id"]):
                if frame.name == "message_part":
                    break
        served.process.send_signal(signal.SIGINT)
        await served.log.has("service stopping")
        assert await served.stop(signal.SIGINT) == 130
