"""Models that an operator sets up by the command line, while a service runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.client.client import Client
from service.platform.secrets import new_key
from tests.e2e.commands import Ran, command
from tests.e2e.conftest import Serve
from tests.fixtures import moves
from tests.fixtures.openai_server import OpenAIServer

TURN_S = 40.0
KEY_AT = "THEIR_KEY"


async def answered(client: Client, words: str) -> Any:
    """What the error was of the turn that these words begin; None: there was none."""
    chat = await client.create(words)
    error = None
    async for frame in client.follow(chat["id"], after="0"):
        if frame.name == "error":
            error = frame.data["error"]
        if frame.name == "turn_finished":
            return error
    raise AssertionError("the stream has ended")


def set_up(ran: Ran) -> None:
    assert (ran.code, ran.err) == (0, "")


# two processes and a dozen commands; tests/integration/providers/test_lookup.py has
# the same within one
@pytest.mark.slow
async def test_a_change_holds_from_the_next_turn_on_in_every_process(
    serve: Serve, on_database: dict[str, str]
) -> None:
    """The worker learns by the log what a command changed; nobody restarts it."""
    settings = on_database | {"secret_key": new_key(), "log_level": "debug"}
    environ = {f"PARLEY_{name.upper()}": value for name, value in settings.items()}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(OpenAIServer())
        environ[KEY_AT] = server.key
        worker = await stack.enter_async_context(
            serve("--roles", "worker,projector", **settings)
        )
        api = await stack.enter_async_context(serve("--roles", "api", **settings))
        client = await stack.enter_async_context(api.client())

        async def turn(words: str) -> Any:
            async with asyncio.timeout(TURN_S):
                return await answered(client, words)

        async def parley(*arguments: str) -> None:
            set_up(await command(environ, *arguments))

        assert await turn("count 2") is None
        assert server.requests == [], "the scripted model has answered"
        await parley(
            "provider", "add", "openai_compat", "--name", "Theirs",
            "--base-url", server.url, "--api-key-env", KEY_AT,
        )  # fmt: skip
        for model in ("first", "second"):
            await parley("model", "add", "Theirs", model, "--context-limit", "9000")
        for model in ("first", "second"):
            await parley("model", "default", model)
            server.answer(moves.Say(("Hi.",)), moves.Finish("stop"))
            assert await turn(f"ask the {model}") is None
            assert model in {asked.body["model"] for asked in server.requests}
        await parley("provider", "update", "Theirs", "--disabled")
        error = await turn("ask nobody")
        assert error["kind"] == "config"
        assert [await process.stop() for process in (api, worker)] == [0, 0]
        for process in (api, worker):
            assert server.key not in await process.log.whole()
    assert server.refused == []
