"""How long a model may be silent, by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from service.agent.guards import LoopClock, Patience, listen
from service.providers.provider import (
    Delta,
    Finish,
    Opened,
    ProviderError,
    ReasoningDelta,
    TextDelta,
)
from tests.fixtures.handclock import HandClock


class Stream:
    """Deltas that a test puts in; None ends them, an exception is raised."""

    def __init__(self, on_cancel: Delta | Exception | None = None) -> None:
        self._queue: asyncio.Queue[Delta | Exception | None] = asyncio.Queue()
        self._on_cancel = on_cancel
        self.endless = on_cancel is None
        self.closed = asyncio.Event()

    def put(self, *deltas: Delta | Exception | None) -> None:
        for delta in deltas:
            self._queue.put_nowait(delta)

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        try:
            while (delta := await self._next()) is not None:
                if isinstance(delta, Exception):
                    raise delta
                yield delta
        finally:
            self.closed.set()

    async def _next(self) -> Delta | Exception | None:
        try:
            return await self._queue.get()
        except asyncio.CancelledError:
            if self.endless:
                raise
            return self._on_cancel


class Listening:
    """A stream that is listened to, with what came of it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.clock = HandClock()
        self.taken: list[Delta] = []
        self._moved = asyncio.Event()
        self.task = asyncio.create_task(
            listen(stream.deltas(), self._take, patience=Patience(), clock=self.clock)
        )

    def _take(self, delta: Delta) -> None:
        self.taken.append(delta)
        self._moved.set()

    async def heard(self, count: int) -> None:
        async with asyncio.timeout(10.0):
            while len(self.taken) < count:
                self._moved.clear()
                await self._moved.wait()

    async def error(self) -> ProviderError:
        async with asyncio.timeout(10.0):
            with pytest.raises(ProviderError) as raised:
                await self.task
        return raised.value


async def listening(stream: Stream | None = None) -> Listening:
    it = Listening(stream or Stream())
    await it.clock.sleeper()
    return it


async def test_who_does_not_begin_within_a_minute_is_given_up() -> None:
    it = await listening()
    it.clock.advance(59.9)
    it.clock.advance(0.1)
    error = await it.error()
    assert (error.kind, error.retryable) == ("stream_silence_timeout", True)
    assert error.message == "the model did not begin to answer within 60 s"
    assert it.stream.closed.is_set()


@pytest.mark.parametrize(
    "sign", [Opened(), ReasoningDelta("hm"), TextDelta("a")], ids=["opened", "r", "t"]
)
async def test_any_sign_gives_ten_minutes_more(sign: Delta) -> None:
    it = await listening()
    it.clock.advance(59.0)
    it.stream.put(sign)
    await it.heard(1)
    it.clock.advance(599.0)
    await it.clock.sleeper()
    assert not it.task.done()
    it.clock.advance(1.0)
    error = await it.error()
    assert (error.kind, error.retryable) == ("stream_silence_timeout", True)
    assert error.message == "the model said nothing more within 600 s"
    assert it.taken == [sign]
    assert it.stream.closed.is_set()


async def test_each_delta_begins_the_silence_anew() -> None:
    it = await listening()
    for count in range(1, 6):
        it.clock.advance(50.0 if count == 1 else 590.0)
        it.stream.put(TextDelta("a"))
        await it.heard(count)
    it.stream.put(Finish("stop"), None)
    await it.task
    assert len(it.taken) == 6


async def test_a_stream_that_has_ended_is_not_given_up() -> None:
    it = await listening()
    it.stream.put(TextDelta("a"), Finish("stop"), None)
    await it.heard(2)
    it.clock.advance(10_000.0)
    await it.task
    assert it.taken == [TextDelta("a"), Finish("stop")]


async def test_nothing_is_waited_for_after_the_end() -> None:
    it = await listening()
    it.stream.put(Finish("stop"), TextDelta("more"))
    await it.task
    assert it.taken == [Finish("stop")]
    assert it.stream.closed.is_set()


@pytest.mark.parametrize(
    "late",
    [TextDelta("late"), ConnectionResetError("cut"), ProviderError("timeout", "cut")],
    ids=["a-delta", "an-error", "a-providers-error"],
)
async def test_what_comes_after_the_deadline_changes_nothing(
    late: Delta | Exception,
) -> None:
    """However a stream takes it to be cut off, it was silent for too long."""
    it = await listening(Stream(on_cancel=late))
    it.clock.advance(60.0)
    assert (await it.error()).kind == "stream_silence_timeout"
    assert it.taken == []


async def test_a_clean_end_after_the_deadline_is_none() -> None:
    stream = Stream()
    stream.endless = False
    it = await listening(stream)
    it.clock.advance(60.0)
    assert (await it.error()).kind == "stream_silence_timeout"


async def test_what_a_stream_raises_in_time_is_its_own() -> None:
    it = await listening()
    it.stream.put(TextDelta("a"), ProviderError("overloaded", "too many ask"))
    assert (await it.error()).kind == "overloaded"


async def test_a_cancellation_from_outside_is_no_silence() -> None:
    it = await listening()
    it.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await it.task
    assert it.stream.closed.is_set()


async def test_a_delta_takes_no_task_and_no_timer() -> None:
    it = await listening()
    it.stream.put(TextDelta("a"))
    await it.heard(1)
    tasks = asyncio.all_tasks()
    it.stream.put(*[TextDelta("a")] * 1000)
    await it.heard(1001)
    assert asyncio.all_tasks() == tasks
    it.stream.put(None)
    await it.task


async def test_the_watcher_is_gone_with_its_stream() -> None:
    before = asyncio.all_tasks()
    await _play(lambda: Stream())
    assert asyncio.all_tasks() == before


async def _play(make: Callable[[], Stream]) -> None:
    stream = make()
    stream.put(Finish("stop"), None)
    taken: list[Delta] = []
    await listen(stream.deltas(), taken.append, patience=Patience(), clock=LoopClock())
    assert taken == [Finish("stop")]
    # a cancelled task needs one turn of the loop to end
    await asyncio.sleep(0)
