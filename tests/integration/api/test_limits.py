"""Limits of a running service, as clients meet them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

import httpx2

from service.api.limits import Limits
from service.client.client import ApiError
from service.errors import TooMany
from service.testing.model import Pause
from service.testing.parley import StartParley
from tests.integration.api.conftest import Api

Result = TypeVar("Result")

PATIENCE_S = 30.0


async def test_a_token_that_asks_too_often_is_told_when_to_come_back(
    start_parley: StartParley,
) -> None:
    with start_parley(rate_limit_per_minute=5) as parley:
        auth = {"authorization": f"Bearer {parley.token}"}
        other = {"authorization": f"Bearer {parley.new_token()}"}
        async with httpx2.AsyncClient(base_url=parley.url) as http:
            answers = [await http.get("/api/v1/chats", headers=auth) for _ in range(6)]
            assert [a.status_code for a in answers] == [200] * 5 + [429]
            refused = answers[-1]
            assert refused.json()["type"] == "/problems/rate-limited"
            assert 1 <= int(refused.headers["retry-after"]) <= 12
            free = await http.get("/api/v1/chats", headers=other)
            assert free.status_code == 200
            # who is not let in at all has no token to count by
            assert (await http.get("/api/v1/chats")).status_code == 401
            assert (await http.get("/healthz")).status_code == 200


async def test_a_user_whose_chats_all_run_starts_no_further_turn(
    start_parley: StartParley,
) -> None:
    with start_parley(max_running_chats_per_user=2) as parley:
        async with parley.client() as client:
            idle = await client.create("count 1")
            said = next(iter((await parley.turn_finished(idle)).messages))
            pauses = [Pause(), Pause()]
            for pause in pauses:
                parley.model.answer(["so ", pause, "done"])
            running = [
                await _taken(lambda: client.create("wait for it")) for _ in pauses
            ]
            for chat in running:
                await parley.shows(chat, lambda view: view.preview)
            # until the read model shows both
            while await _tried(lambda: client.create("count 1")):
                continue
            assert not await _tried(lambda: client.send(idle, "more"))
            assert not await _tried(lambda: client.edit(idle, said, "other"))
            # a chat that runs takes more to say
            assert (await client.send(running[0], "and this"))["queued"]
            for pause in pauses:
                pause.release()
            await _taken(lambda: client.send(idle, "now"))
            for chat in (*running, idle):
                await parley.turn_finished(chat)


async def test_what_was_accepted_is_answered_again_however_many_run(
    start_parley: StartParley,
) -> None:
    body = {"content": [{"type": "text", "text": "wait for it"}]}
    with start_parley(max_running_chats_per_user=1) as parley:
        pause = Pause()
        parley.model.answer(["so ", pause, "done"])
        auth = {"authorization": f"Bearer {parley.token}", "idempotency-key": "once"}
        async with (
            httpx2.AsyncClient(base_url=parley.url, headers=auth) as http,
            parley.client() as client,
        ):
            first = await http.post("/api/v1/chats", json=body)
            assert first.status_code == 201
            while await _tried(lambda: client.create("count 1")):
                continue
            again = await http.post("/api/v1/chats", json=body)
            assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
            assert again.headers["idempotent-replayed"] == "true"
            pause.release()
            await parley.turn_finished(first.json())


async def test_who_asks_for_many_turns_at_once_gets_as_many_as_are_free(
    api: Api,
) -> None:
    loop = asyncio.get_running_loop()
    limits = Limits(running=3, clock=loop.time)
    turns = (limits.turn(api.stack.pool, uuid4(), None) for _ in range(3))
    await asyncio.gather(*turns)  # others do not count
    owner = uuid4()
    asked = (limits.turn(api.stack.pool, owner, None) for _ in range(20))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes.count(None) == 3
    assert all(o is None or isinstance(o, TooMany) for o in outcomes)


async def _taken(ask: Callable[[], Awaitable[Result]]) -> Result:
    """The answer, once fewer chats run; read models need a moment to see it."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await _tried(ask)) is None:
            continue
    return answer


async def _tried(ask: Callable[[], Awaitable[Result]]) -> Result | None:
    """The answer; None when too many chats run."""
    try:
        return await ask()
    except ApiError as error:
        if error.slug != "too-many-running":
            raise
        return None


async def test_a_token_is_looked_up_once_for_all_who_ask_at_a_time(api: Api) -> None:
    statements = api.stack.database.statements

    async def cost(token: str) -> int:
        before, headers = statements["service"], {"authorization": f"Bearer {token}"}
        requests = (api.get("/api/v1/chats", headers=headers) for _ in range(20))
        answers = await asyncio.gather(*requests)
        assert {answer.status_code for answer in answers} == {200}
        return statements["service"] - before

    await cost(api.other_token)  # connections are opened, and set up
    known = await cost(api.other_token)
    assert await cost(api.token) == known + 1
