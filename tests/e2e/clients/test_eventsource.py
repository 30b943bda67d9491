"""The stock EventSource of npm and of Chromium: reconnect, resume, renew a ticket.

Streams end after half a second here, so that one answer takes several connections.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service import wire
from tests.e2e.conftest import Serve
from tests.reducer import ChatOnScreen

HERE = Path(__file__).parent
SHORT = {"stream_lifetime_s": "0.5", "stream_heartbeat_s": "0.2", "scripted_rate": "15"}
NUMBERS = 60
PATIENCE_S = 90.0

CHROME = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def check(frames: list[dict[str, Any]]) -> None:
    """Nothing lost, nothing twice, and the whole answer."""
    screen = ChatOnScreen()
    for frame in frames:
        screen.take(frame["event"], frame["data"])  # asserts each seq and each id once
    ids = [frame["id"] for frame in frames if frame["event"] != "caught_up"]
    assert len(set(ids)) == len(ids)
    answer = [m for m in screen.messages.values() if m["role"] == "assistant"][-1]
    said = "".join(part["text"] for part in answer["content"])
    assert said == " ".join(str(n) for n in range(1, NUMBERS + 1))
    assert [
        f["event"] for f in frames if f["event"] in ("resync", "preview_reset")
    ] == []


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js and npm")
async def test_npm_eventsource_reconnects_and_resumes_by_itself(
    serve: Serve, on_database: dict[str, str], tmp_path: Path
) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc", "follow.mjs"):
        shutil.copy(HERE / name, tmp_path)
    installing = await asyncio.create_subprocess_exec(
        "npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=tmp_path
    )
    assert await installing.wait() == 0
    async with serve(**(on_database | SHORT)) as served, served.client() as client:
        chat = await client.create(f"count {NUMBERS}")
        following = await asyncio.create_subprocess_exec(
            "node", "follow.mjs",
            f"{served.url}/api/v1/chats/{chat['id']}/stream", served.token,
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await following.communicate()
    lines = [wire.loads(line) for line in output.splitlines()]
    assert sum(line["event"] == "open" for line in lines) > 2
    check([line for line in lines if line["event"] != "open"])


@asynccontextmanager
async def chromedriver() -> AsyncIterator[httpx2.AsyncClient]:
    """A WebDriver session in a headless Chromium."""
    driver = await asyncio.create_subprocess_exec(
        "chromedriver",
        "--port=0",
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert driver.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while b"started successfully on port" not in (
                line := await driver.stdout.readline()
            ):
                assert line, "chromedriver did not start"
        port = int(line.rstrip(b".\n").rpartition(b" ")[2])
        capabilities = {"alwaysMatch": {"goog:chromeOptions": {"args": CHROME}}}
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S
        ) as http:
            body = {"capabilities": capabilities}
            session = (await http.post("/session", json=body)).json()["value"]
            http.base_url = httpx2.URL(
                f"http://127.0.0.1:{port}/session/{session['sessionId']}"
            )
            yield http
            await http.delete("")
    finally:
        # with its browser, which would keep the pipe open
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        await driver.stdout.read()
        await driver.wait()


@pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="needs chromium-driver"
)
async def test_chromium_resumes_with_a_new_ticket(
    serve: Serve, on_database: dict[str, str]
) -> None:
    script = (HERE / "browser.js").read_text()
    async with (
        serve(**(on_database | SHORT)) as served,
        served.client() as client,
        chromedriver() as browser,
    ):
        await browser.post("/timeouts", json={"script": int(PATIENCE_S * 1000)})
        await browser.post("/url", json={"url": f"{served.url}/docs"})
        chat = await client.create(f"count {NUMBERS}")
        answer = await browser.post(
            "/execute/async",
            json={"script": script, "args": [chat["id"], served.token]},
        )
    seen = answer.json()["value"]
    assert "frames" in seen, seen
    assert seen["opened"] > 2
    check(seen["frames"])
