"""A worker in a process of its own, for tests that kill it: dsn, role prefix, lease."""

from __future__ import annotations

import asyncio
import sys

from service.db.guard import Guard
from service.db.pool import Database
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import hand


async def main(dsn: str, role_prefix: str, lease_s: str) -> None:
    """Work until killed."""
    database = Database(dsn, role_prefix=role_prefix)
    async with (
        Stack(database, Guard("raise")) as stack,
        hand(stack, "mortal", rate=50, lease_s=float(lease_s)),
    ):
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
