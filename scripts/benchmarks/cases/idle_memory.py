"""Memory of an idle follower: growth of the service's RSS over 1,000 of them, on one
chat and on a chat each. Some follow first, so that what is made once does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.chats import new_chat, writing
from scripts.benchmarks.crowd import crowd
from scripts.benchmarks.events import assistant_message, user_message
from scripts.benchmarks.harness import Budget, Result
from scripts.benchmarks.processes import rss_bytes
from scripts.benchmarks.service import Service, serve

FOLLOWERS = 1_000
WARM = 50
MESSAGES = 20
"""Of the chat, so that the snapshot which each follower gets is an ordinary one."""
SETTLE_S = 1.0

BUDGET = Budget("<=", 15)


async def run(bench: Bench) -> list[Result]:
    """KiB a follower."""
    async with bench.server.fresh() as database, writing(database) as appender:
        talk = [user_message(), *[assistant_message()] * MESSAGES]
        chats = [await new_chat(appender, *talk) for _ in range(FOLLOWERS + WARM)]
        paths = [chat.chat_id for chat in chats]
        async with serve(database, roles="api") as service:
            one = await _growth(service, [service.stream(paths[0])] * len(paths))
        async with serve(database, roles="api") as service:
            many = await _growth(service, [service.stream(path) for path in paths])
    details = {"a_chat_each_kib": many, **bench.facts}
    return [Result("memory of an idle follower", one, "KiB", BUDGET, details=details)]


async def _growth(service: Service, requests: Sequence[bytes]) -> float:
    """KiB a follower, over all requests but the first, which warm up."""
    async with AsyncExitStack() as stack:
        for batch in (requests[:WARM], requests[WARM:]):
            before = rss_bytes(service.pids)
            await stack.enter_async_context(
                crowd(service.address, batch, ready="caught_up")
            )
            await asyncio.sleep(SETTLE_S)
        return (rss_bytes(service.pids) - before) / 1024 / len(requests[WARM:])
