"""The service with a vendor's model, which is a server of ours."""

from __future__ import annotations

import asyncio
import os

import pytest

from service.client.client import Frame
from service.providers.choose import KEYS, Vendor
from tests.e2e.conftest import PARLEY, Serve
from tests.fixtures import moves
from tests.fixtures.anthropic_server import AnthropicServer
from tests.fixtures.model_servers import ModelServer
from tests.fixtures.openai_server import OpenAIServer

TURN_S = 30.0
QUESTION = "tell me the hour, precisely"

SERVERS: dict[Vendor, tuple[type[ModelServer], str]] = {
    "openai": (OpenAIServer, "gpt-5"),
    "anthropic": (AnthropicServer, "claude-opus-5-5"),
}


def committed(frames: list[Frame]) -> list[str]:
    return [
        "".join(p["text"] for p in message["content"] if p["type"] == "text")
        for frame in frames
        if frame.name == "message"
        and (message := frame.data["message"])["role"] == "assistant"
    ]


@pytest.mark.parametrize("vendor", SERVERS)
async def test_a_turn_with_a_vendors_model(
    serve: Serve,
    on_database: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    vendor: Vendor,
) -> None:
    make, name = SERVERS[vendor]
    async with make() as server:
        monkeypatch.setenv(KEYS[vendor], server.key)
        settings = on_database | {
            "model": f"{vendor}:{name}",
            "model_base_url": server.url,
            "log_level": "debug",
        }
        # held in the middle, so that no preview is overtaken by its message
        shown = moves.Wait()
        server.answer(
            moves.Say(("Let me look ",)),
            shown,
            moves.Say(("at the clock.",)),
            moves.Call("call_7", "clock", ('{"timezone": ', '"UTC"}')),
            moves.Finish("tool_calls"),
        )
        frames: list[Frame] = []
        async with serve(**settings) as served:
            async with asyncio.timeout(TURN_S), served.client() as client:
                chat = await client.create(QUESTION)
                async for frame in client.follow(chat["id"], after="0"):
                    frames.append(frame)
                    if frame.name == "message_part":
                        shown.until.set()
                    if frame.name == "turn_finished":
                        break
            assert await served.stop() == 0
            log = await served.log.whole()
        assert server.refused == []
        assert len(server.requests) == 2
    first, last = committed(frames)
    assert first == "Let me look at the clock."
    assert shown.until.is_set(), "followers saw it before it was whole"
    assert last.startswith("It is {")
    assert server.key not in log
    assert QUESTION not in log


async def test_without_its_key_a_model_does_not_start() -> None:
    process = await asyncio.create_subprocess_exec(
        str(PARLEY), "serve", "--port", "0",
        env=dict(os.environ) | {"PARLEY_MODEL": "openai:gpt-5"},  # noqa: TID251  PATH
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(TURN_S):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().startswith("parley: OPENAI_API_KEY: PARLEY_MODEL=openai:gpt-5")


async def test_without_a_vendors_model_its_library_is_not_loaded() -> None:
    """It takes seconds, and memory that small machines have not got."""
    script = (
        "import sys, service.cli.main, service.app\n"
        "found = {'pydantic_ai', 'openai', 'anthropic'} & set(sys.modules)\n"
        "sys.exit(str(found) if found else 0)"
    )
    process = await asyncio.create_subprocess_exec(
        str(PARLEY.with_name("python")), "-c", script
    )
    async with asyncio.timeout(TURN_S):
        assert await process.wait() == 0
