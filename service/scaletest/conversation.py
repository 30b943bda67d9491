"""One chat of a scale test: created, followed, talked to until its turns are done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from service.client.client import Client
from service.client.shapes import Frame, Outcome
from service.errors import ParleyError
from service.scaletest import figures as f
from service.scaletest.compare import Asked
from service.scaletest.figures import Figures, Phase, Stage
from service.scaletest.plan import Plan
from service.scaletest.witness import Witness

Result = TypeVar("Result")


class Gate:
    """Opens when as many as it was made for have arrived."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._open = asyncio.Event()

    def arrive(self) -> None:
        """One more is here, or will never come."""
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()

    async def opened(self) -> None:
        """Wait for the last one."""
        await self._open.wait()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all chats of a test share."""

    plan: Plan
    figures: Figures
    requests: asyncio.Semaphore
    """Bounds the requests in flight."""
    follow_ups: Gate
    """Opens when every chat has had its first turn."""
    labels: dict[str, str]
    on_turn: Callable[[], None]


@dataclass(eq=False)
class Broken(Exception):
    """The chat cannot go on."""

    stage: Stage
    reason: str


@dataclass(slots=True)
class Turn:
    """A turn whose request is on its way, or was answered."""

    phase: Phase
    ended: asyncio.Future[Outcome]
    sent_at: float = 0.0
    running: bool = False
    output: bool = False


class Conversation:
    """One chat. `chat_id` is None until it is created; it may stay so."""

    def __init__(self, client: Client, shared: Shared) -> None:
        self.client = client
        self.view = Witness()
        self.asked = Asked()
        self.chat_id: str | None = None
        self.completed = False
        """All turns ended well."""
        self._shared = shared
        self._figures = shared.figures
        self._turn: Turn | None = None
        self._broken: Broken | None = None

    async def run(self) -> None:
        """All turns, or up to the first that fails."""
        arrived = False

        def arrive() -> None:
            nonlocal arrived
            if not arrived:
                arrived = True
                self._shared.follow_ups.arrive()

        begun = _clock()
        try:
            await self._converse(arrive)
        except Broken as broken:
            self._figures.fail(broken.stage, broken.reason)
        else:
            self.completed = True
            self._figures.time(f.CONVERSATION, _clock() - begun)
        finally:
            arrive()

    async def _converse(self, arrive: Callable[[], None]) -> None:
        plan = self._shared.plan
        await self._create()
        reading = asyncio.create_task(self._read(), name="read")
        self._figures.streams += 1
        try:
            await self._turn_ended()
            arrive()
            if plan.turns > 1:
                await self._shared.follow_ups.opened()
                await asyncio.sleep(plan.turn_start_delay_s)
            for _ in range(plan.turns - 1):
                await self._say()
                await self._turn_ended()
        finally:
            self._figures.streams -= 1
            reading.cancel()
            await asyncio.wait([reading])

    async def _create(self) -> None:
        plan, labels = self._shared.plan, self._shared.labels
        chat = await self._ask(
            "initial",
            "create_chat",
            lambda: self.client.create(plan.prompt, labels=labels),
        )
        self.chat_id = chat["id"]

    async def _say(self) -> None:
        assert self.chat_id is not None  # noqa: S101  there is a first turn
        chat, prompt = self.chat_id, self._shared.plan.prompt
        sent = await self._ask(
            "follow_up", "create_message", lambda: self.client.send(chat, prompt)
        )
        if (message := sent.get("message")) is not None:
            self.asked.ids.append(message["id"])

    async def _ask(
        self, phase: Phase, stage: Stage, request: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Begin a turn by a request; times are from when it is really sent."""
        if self._broken is not None:
            raise self._broken
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        turn = Turn(phase, ended)
        async with self._shared.requests:
            turn.sent_at = _clock()
            self._turn = turn
            try:
                answer = await request()
            except ParleyError as error:
                self.asked.unsure += 1
                raise Broken(stage, str(error)) from error
        took = _clock() - turn.sent_at
        if stage == "create_chat":
            self._figures.time(f.CREATE, took)
        self._figures.time(f.MESSAGE, took, phase)
        self.asked.turns += 1
        return answer

    async def _turn_ended(self) -> None:
        assert self._turn is not None  # noqa: S101  a request began it
        try:
            async with asyncio.timeout(self._shared.plan.timeout_s):
                outcome = await self._turn.ended
        except TimeoutError as error:
            status = self.view.status
            raise Broken("timeout", f"the chat stayed {status}") from error
        if outcome != "finished":
            told = self.view.error
            raise Broken("status_error", told["message"] if told else outcome)
        self._figures.turns += 1
        self._shared.on_turn()

    async def _read(self) -> None:
        """Take every frame until cancelled; a stream that ends breaks the chat."""
        assert self.chat_id is not None  # noqa: S101  it is created first
        try:
            async for frame in self.client.follow(self.chat_id, after="0"):
                self._take(frame)
        except ParleyError as error:
            self._break(Broken("stream_open", str(error)))
        except Exception as error:
            # a frame that cannot be read must not look like a turn that never ends
            self._break(Broken("stream_open", f"{type(error).__name__}: {error}"))
            raise

    def _break(self, broken: Broken) -> None:
        self._broken = broken
        if self._turn is not None and not self._turn.ended.done():
            self._turn.ended.set_exception(broken)

    def _take(self, frame: Frame) -> None:
        self.view.apply(frame)
        turn, data = self._turn, frame.data
        if frame.name == "retry":
            self._figures.retries += 1
        if turn is None or turn.ended.done():
            return
        match frame.name:
            case "status" if data["status"] == "running":
                turn.running = self._mark(f.RUNNING, turn, done=turn.running)
            case "message_part":
                turn.output = self._mark(f.OUTPUT, turn, done=turn.output)
            case "message" if _answers(data):
                turn.output = self._mark(f.OUTPUT, turn, done=turn.output)
            case "turn_finished":
                self._mark(f.TERMINAL, turn, done=False)
                self._figures.statuses[str(self.view.status)] += 1
                turn.ended.set_result(data["outcome"])

    def _mark(self, measure: str, turn: Turn, *, done: bool) -> bool:
        if not done:
            self._figures.time(measure, _clock() - turn.sent_at, turn.phase)
        return True


def _answers(data: dict[str, Any]) -> bool:
    role: str = data["message"]["role"]
    return role == "assistant"


def _clock() -> float:
    return asyncio.get_running_loop().time()
