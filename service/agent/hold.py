"""A chat in a worker's hand: its lease, its committed state, and news about it.

Everything a worker does to a chat goes through here: nothing is appended once the
lease has run out on the worker's own clock, and a model call or tool batch is dropped
when the log says that it is no longer wanted. Other news, such as a new title or one
more message in the queue, disturb nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg

from service.agent.backoff import Backoff
from service.domain.chat.state import ChatState, Holder, Status
from service.domain.commands.chat import ChatCommand
from service.errors import Conflict, FutureEvent, Unavailable, WrongExpectedVersion
from service.eventstore.fold import Loaded
from service.eventstore.handle import Chats, Handled
from service.lease import Lease, LeaseLost
from service.live.flush import PartWriter

logger = logging.getLogger(__name__)

T = TypeVar("T")

STUBBORN_S = 0.3
"""For a model call or a tool to end when cancelled; whoever interrupts waits a second
at most, so what catches its cancellation is left to itself."""

AWAY = (Unavailable, WrongExpectedVersion, psycopg.OperationalError)
"""The database is away, or busy with others' appends; trying again helps."""


class Disturbed(Conflict):
    """The log moved on: what was being done is no longer wanted."""


class Hold:
    """One acquired chat."""

    def __init__(
        self,
        chats: Chats,
        lease: Lease,
        loaded: Loaded,
        *,
        lease_s: float,
        now: Callable[[], datetime],
        admit: Callable[[], bool],
    ) -> None:
        self.chats = chats
        """For what needs no lease."""
        self._lease_s = lease_s
        self._loaded = loaded
        self._newest = loaded.version
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()
        self._stubborn: set[asyncio.Task[Any]] = set()
        self.lease = lease
        self.now = now
        self.admit = admit
        """Ask for a slot to work in; once given, it is ours until we leave the chat."""
        self.until: datetime | None = None
        """When the runner left because there was nothing to do before."""
        self.named_turn: int | None = None
        """The turn in which a title was asked for."""
        self.writer: PartWriter | None = None
        """Of the attempt that runs or was cut off, until its parts are of no use."""

    @property
    def chat_id(self) -> UUID:
        """The chat."""
        return self.lease.chat_id

    @property
    def version(self) -> int:
        """Of the state that was acted on last."""
        return self._loaded.version

    @property
    def stopping(self) -> bool:
        """Nothing that takes long is to be begun any more."""
        return self._stop.is_set()

    @property
    def behind(self) -> bool:
        """The log has more of this chat than the state that was acted on."""
        return self._newest > self._loaded.version

    def stop(self) -> None:
        """Ask to give the chat back after the current action."""
        self._stop.set()

    def wake(self, version: int) -> None:
        """The log has this version of the chat."""
        self._newest = max(self._newest, version)
        self._woken.set()

    def fence(self, epoch: int) -> dict[str, Any]:
        """What every worker's command carries, with a clock reading."""
        lease = self.lease
        return {
            "now": self.now(),
            "worker": lease.worker,
            "term": lease.term,
            "epoch": epoch,
        }

    def say_through(self, writer: PartWriter | None) -> None:
        """The episode that is being written; the one before is closed."""
        if self.writer is not None:
            self.writer.close()
        self.writer = writer

    def check(self) -> None:
        """Raise LeaseLost once the lease time has passed since it was confirmed."""
        age = asyncio.get_running_loop().time() - self.lease.renewed_at
        if age >= self._lease_s:
            raise LeaseLost(
                f"no answered heartbeat for {age:.1f} s, expected one within "
                f"{self._lease_s:.1f} s; drop this work"
            )

    def holds(self, state: ChatState) -> bool:
        """Whether the log still says that the chat is this worker's."""
        return state.holder == Holder(self.lease.worker, self.lease.term)

    async def current(self, *, reread: bool = False) -> Loaded:
        """The committed state; read only when something is known to be newer."""
        if reread or self.behind:
            self._loaded = await self.chats.load(self.chat_id)
            self._newest = max(self._newest, self._loaded.version)
        return self._loaded

    async def commit(self, command: ChatCommand) -> Handled:
        """Append what the command causes, once, however often the database is away.

        Raises LeaseLost, Rejection, BadEvent, StreamPurged, FutureEvent.
        """
        # one key for all tries: an unknown outcome becomes known by asking again
        actor, unique, backoff = f"worker:{self.lease.worker}", uuid4(), Backoff()
        key, request_hash = f"{actor}:{unique}", unique.bytes
        # what it answers to, as es.explain_event reads it
        cause = f"{self.chat_id}:{self.version}" if self.version else None
        while True:
            self.check()
            try:
                handled = await self.chats.execute(
                    self.chat_id,
                    command,
                    actor=actor,
                    key=key,
                    request_hash=request_hash,
                    causation_id=cause,
                )
            except AWAY as error:
                await self._wait_out("commit", error, backoff)
            else:
                self._loaded = handled.loaded
                return handled

    async def unless_disturbed(self, work: Coroutine[Any, Any, T], *, epoch: int) -> T:
        """The result of the work, or Disturbed as soon as it is no longer wanted."""
        task = asyncio.create_task(work, name="work")
        watch = asyncio.create_task(self._until_unwanted(epoch), name="watch")
        try:
            await asyncio.wait([task, watch], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            task.cancel()
            watch.cancel()
            await self._ended(task, watch)
        raise Disturbed(f"chat {self.chat_id} is past epoch {epoch}; reload")

    async def _ended(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait for what was cancelled, but not for what does not let itself be."""
        _, stubborn = await asyncio.wait(tasks, timeout=STUBBORN_S)
        for task in stubborn:
            logger.error("work goes on although it was cancelled; nobody wants it")
            self._stubborn.add(task)
            task.add_done_callback(self._stubborn.discard)
        for task in tasks:
            task.add_done_callback(_retrieve)

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than until somebody asks to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _until_unwanted(self, epoch: int) -> None:
        backoff = Backoff()
        while True:
            self._woken.clear()
            try:
                wanted = self._wanted((await self.current()).state, epoch)
            except FutureEvent:
                wanted = False
            except Exception as error:
                # not knowing is no reason to throw an answer away
                await self._wait_out("watch", error, backoff)
                continue
            if not wanted:
                return
            await self._woken.wait()

    def _wanted(self, state: ChatState, epoch: int) -> bool:
        goes_on = state.status is Status.RUNNING and state.epoch == epoch
        return goes_on and self.holds(state)

    async def _wait_out(self, what: str, error: Exception, backoff: Backoff) -> None:
        pause = backoff.next()
        extra = {"what": what, "reason": str(error), "pause_s": round(pause, 3)}
        logger.warning("the database is away", extra=extra)
        await asyncio.sleep(pause)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Whatever came of it, nobody asks any more."""
    if not task.cancelled():
        task.exception()
