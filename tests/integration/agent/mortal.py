"""A worker in a process of its own, for tests that kill it: dsn, role prefix, lease.

With the name of a command, a number and a moment it kills itself, as hard as can be:
`before` or `after` its so-many-th commit of that kind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from typing import Any, Literal
from uuid import UUID

from service.db.guard import Guard
from service.db.pool import Database
from service.domain.commands.chat import ChatCommand
from service.eventstore.handle import Chats, Handled
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import hand
from tests.integration.agent.eventful import LOOK, eventful

Moment = Literal["before", "after"]


class Counts(Chats):
    """Counts commits, by the name of the command."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.pool, stack.appender, cache_bytes=1 << 20)
        self.commits: Counter[str] = Counter()

    async def execute(self, chat_id: UUID, command: ChatCommand, **how: Any) -> Handled:
        name = type(command).__name__
        self.commits[name] += 1
        self.reached(name, "before")
        handled = await super().execute(chat_id, command, **how)
        self.reached(name, "after")
        return handled

    def reached(self, name: str, moment: Moment) -> None:
        """A commit is about to be made, or was made."""


class Mortal(Counts):
    """Ends its process at one commit."""

    def __init__(self, stack: Stack, name: str, nth: int, moment: str) -> None:
        super().__init__(stack)
        self._point = (name, nth, moment)

    def reached(self, name: str, moment: Moment) -> None:
        if (name, self.commits[name], moment) == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(dsn: str, role_prefix: str, lease_s: str, *point: str) -> None:
    """Work until killed."""
    async with Stack(Database(dsn, role_prefix=role_prefix), Guard("raise")) as stack:
        how: dict[str, Any] = {"rate": 50}
        if point:
            name, nth, moment = point
            chats = Mortal(stack, name, int(nth), moment)
            how = {"chats": chats, "models": eventful(), "tools": [LOOK]}
        async with hand(stack, "mortal", lease_s=float(lease_s), **how):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
