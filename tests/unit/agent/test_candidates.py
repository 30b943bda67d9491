"""Which worker tries which chat, and when: an order that all of them agree on."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID, uuid5

from service.agent.candidates import Candidates
from service.domain.chat.state import Status

WORKERS = ("w1", "w2", "w3")
CHATS = [uuid5(UUID(int=0), str(number)) for number in range(300)]
A, B, C = CHATS[:3]


def candidates(worker: str = "w1", load: float = 0.0) -> Candidates:
    return Candidates(worker, load=lambda: load, on_more=lambda: None)


def drained(those: Candidates, status: Status = Status.RUNNING) -> list[UUID]:
    return list(iter(lambda: those.next(status), None))


async def test_alone_and_idle_a_worker_tries_at_once_in_order() -> None:
    those = candidates()
    for chat in (B, A, C, A):
        those.offer(chat)
    assert drained(those) == [B, A, C]


async def test_kinds_are_apart_and_a_chat_is_there_once_as_urgent_as_ever() -> None:
    those = candidates()
    for chat in (A, B, C):
        those.offer(chat)
    those.offer(A, status=Status.INTERRUPTING)
    those.offer(A)
    those.offer(B, status=Status.REQUIRES_ACTION)
    those.add(A, status=Status.REQUIRES_ACTION)
    assert drained(those, Status.INTERRUPTING) == [A]
    assert drained(those, Status.REQUIRES_ACTION) == [B]
    assert drained(those) == [C]


async def test_each_chat_has_one_worker_that_is_first() -> None:
    first = Counter[UUID]()
    shares = []
    for worker in WORKERS:
        those = candidates(worker)
        those.meet(WORKERS)
        for chat in CHATS:
            those.offer(chat)
        mine = drained(those)
        first.update(mine)
        shares.append(len(mine))
        those.close()
    assert set(first) == set(CHATS)
    assert set(first.values()) == {1}
    assert min(shares) > len(CHATS) / 5, "the shares are about as large"


async def test_the_others_try_later_unless_it_is_taken() -> None:
    more = asyncio.Event()
    those = Candidates("w1", load=lambda: 0.0, on_more=more.set)
    those.meet(WORKERS)
    mine = next(chat for chat in CHATS if those._place(chat) == 0)
    second = next(chat for chat in CHATS if those._place(chat) == 1)
    taken = next(chat for chat in reversed(CHATS) if those._place(chat) == 1)
    for chat in (taken, second, mine):
        those.offer(chat)
    assert drained(those) == [mine]
    those.taken(taken)
    more.clear()
    async with asyncio.timeout(5):
        await more.wait()
    assert drained(those) == [second]


async def test_what_is_taken_is_forgotten_wherever_it_is() -> None:
    those = candidates()
    those.offer(A)
    those.offer(B, status=Status.INTERRUPTING)
    for chat in (A, B, C):
        those.taken(chat)
    assert drained(those) == drained(those, Status.INTERRUPTING) == []


async def test_a_worker_with_much_to_do_is_late() -> None:
    those = candidates(load=0.5)
    those.offer(A)
    assert drained(those) == []
    those.close()


async def test_a_postponed_chat_is_left_alone_until_there_are_news() -> None:
    those = candidates()
    those.postpone(A)
    those.offer(A)
    assert drained(those) == []
    those.reconsider(A)
    those.offer(A)
    assert drained(those) == [A]
