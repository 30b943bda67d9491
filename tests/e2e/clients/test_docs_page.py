"""The page /docs in a browser: its policy lets its own script read the document."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from service.api.frames import CHAT_FRAMES
from service.api.routes import OPERATIONS
from service.testing.parley import Parley

PATIENCE_S = 90.0
SETTLED_MS = 5000
"""Of the page's own time, which passes as fast as the page has nothing to wait for."""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
async def test_the_page_shows_every_operation(parley: Parley, tmp_path: Path) -> None:
    browser = await asyncio.create_subprocess_exec(
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}",
        f"--virtual-time-budget={SETTLED_MS}", "--dump-dom", f"{parley.url}/docs",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, _ = await browser.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
        await browser.wait()
    page = out.decode()
    assert "OpenAPI 3.2.0." in page
    assert page.count('<code class="method">') == len(OPERATIONS)
    for operation in OPERATIONS:
        assert f"<code>{operation.path}</code>" in page
    for name, data in CHAT_FRAMES.items():
        assert f"<code>{name}</code>" in page
        assert f'<details id="{data.__name__}">' in page
