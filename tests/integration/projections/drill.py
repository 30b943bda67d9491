"""A rebuild or a swap as a process that stops at one step, to be killed there.

    python -m tests.integration.projections.drill DSN ROLE_PREFIX rebuild|swap STEP

It prints the step when it is there, and waits for the end.
"""

from __future__ import annotations

import asyncio
import sys

from projections.messages import MESSAGES
from projections.rebuild import rebuild
from projections.swap import swap
from projections.versions import pick
from service.db.pool import Database, connect

REBUILD_STEPS = ("begun", "batch", "built", "finishing")
SWAP_STEPS = ("near", "held", "level", "flipping", "flipped")
STEPS = [
    *(("rebuild", step) for step in REBUILD_STEPS),
    *(("swap", step) for step in SWAP_STEPS),
]


async def run(dsn: str, role_prefix: str, command: str, at: str) -> None:
    """Up to the step."""
    database = Database(dsn, role_prefix=role_prefix)

    async def step(name: str) -> None:
        if name == at:
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()

    if command == "rebuild":
        await rebuild(database, MESSAGES, step=step, batch_size=20)
        return
    async with await connect(database, role="projector", name="swap") as connection:
        new = await pick(connection, "messages", None)
        await swap(connection, database, MESSAGES, new, step=step)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
