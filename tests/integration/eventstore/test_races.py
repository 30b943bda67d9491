"""Requests that meet on one chat: each order ends in a legal state, nobody loses."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.db.guard import Guard
from service.db.pool import Database
from service.domain.chat.state import Status
from service.domain.commands.chat import ChatCommand
from service.eventstore.handle import Chats, Handled
from tests.builders import (
    acquire,
    cancel_calls,
    commit_step,
    draft,
    edit,
    finish_turn,
    output,
    promote_queued,
    read,
    send,
    submit,
    update,
)
from tests.integration.eventstore.appends import assert_intact
from tests.integration.eventstore.overtaking import Doing, every_race
from tests.integration.eventstore.overtaking import stepped as stepped
from tests.integration.eventstore.replicas import (
    another_process,
    asking,
    idle,
    queueing,
    running,
    state_in_log,
    told,
    types_in_log,
)

pytestmark = pytest.mark.usefixtures("stepped")


def does(command: ChatCommand) -> Doing[UUID]:
    async def doing(chats: Chats, chat_id: UUID) -> Handled:
        return await told(chats, chat_id, command)

    return doing


async def test_one_of_two_clients_answers_the_calls(
    database: Database, guard: Guard, chats: Chats
) -> None:
    one = does(submit(output(value="first")))
    other = does(submit(output(value="second")))
    races = 0
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race((chats, others), asking, one, other):
            assert sorted(outcomes) == ["appended", "no-action-required"]
            state = await state_in_log(database, chat_id)
            won = "first" if outcomes[0] == "appended" else "second"
            result = state.messages[-1].parts[0]
            assert result.type == "tool-result"
            assert result.result == won
            assert (state.status, state.action) == (Status.RUNNING, None)
            types = await types_in_log(database, chat_id)
            assert types.count("tool_results_submitted") == 1
            races += 1
    # warm: before the append, and after; cold: before the read too; both once swapped
    assert races == 2 * (2 + 3) + 2
    await assert_intact(database)


async def test_an_answer_meets_the_end_of_the_clients_time(
    database: Database, guard: Guard, chats: Chats
) -> None:
    one, other = does(submit(output())), does(cancel_calls(5))
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race((chats, others), asking, one, other):
            assert sorted(outcomes)[0] == "appended"
            assert outcomes.count("appended") == 1
            state = await state_in_log(database, chat_id)
            assert [m.role for m in state.messages] == ["user", "assistant", "tool"]


async def test_an_edit_takes_back_a_step_or_makes_it_stale(
    database: Database, guard: Guard, chats: Chats
) -> None:
    one, other = does(edit(2, "rather")), does(commit_step(2, draft("a"), draft("b")))
    seen = set()
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race(
            (chats, others), running, one, other
        ):
            assert outcomes[0] == "appended"
            seen.add(outcomes[1])
            state = await state_in_log(database, chat_id)
            (message,) = state.messages
            assert [part.text for part in message.parts] == ["rather"]  # type: ignore[union-attr]
            assert (state.status, state.turn_id) == (Status.RUNNING, message.id)
            assert state.epoch == message.id
            assert state.episode is None
    assert seen == {"appended", "stale-worker"}


async def test_a_promotion_meets_the_end_of_the_turn(
    database: Database, guard: Guard, chats: Chats
) -> None:
    """The second in the queue is put first, before the turn takes the head or after."""

    async def two(process: Chats) -> UUID:
        return await queueing(process, "first", "second")

    one, other = does(promote_queued(8)), does(finish_turn(5))
    seen = set()
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race((chats, others), two, one, other):
            seen.add(tuple(outcomes))
            state = await state_in_log(database, chat_id)
            said = [m.parts[0].text for m in state.messages if m.queued_id]  # type: ignore[union-attr]
            left = [m.parts[0].text for m in state.queue]  # type: ignore[union-attr]
            assert sorted(said + left) == ["first", "second"]
            if outcomes[1] == "appended":
                # the turn ended first: its head was taken, then interrupted
                assert (said, left) == (["first"], ["second"])
            else:
                assert (said, left) == ([], ["second", "first"])
            assert state.status is Status.INTERRUPTING
    assert seen == {("appended", "appended"), ("appended", "invalid-state")}


async def test_the_last_of_the_queue_is_taken_once(
    database: Database, guard: Guard, chats: Chats
) -> None:
    async def one_waits(process: Chats) -> UUID:
        return await queueing(process, "next")

    one, other = does(promote_queued(7)), does(finish_turn(5))
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race(
            (chats, others), one_waits, one, other
        ):
            assert set(outcomes) in (
                {"appended", "invalid-state"},
                {"appended", "queue-item-not-found"},
            )
            state = await state_in_log(database, chat_id)
            taken = [m for m in state.messages if m.queued_id == 7]
            assert len(taken) + len(state.queue) == 1


async def test_two_workers_acquire_a_chat(
    database: Database, guard: Guard, chats: Chats
) -> None:
    async def free(process: Chats) -> UUID:
        chat_id = await idle(process)
        await told(process, chat_id, send())
        return chat_id

    one, other = does(acquire(2, "w1")), does(acquire(2, "w2"))
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race((chats, others), free, one, other):
            assert sorted(outcomes) == ["appended", "stale-worker"]
            holder = (await state_in_log(database, chat_id)).holder
            assert holder is not None
            assert holder.worker == f"w{1 + outcomes.index('appended')}"


@pytest.mark.parametrize(
    "about",
    [update(title="noon", labels={"a": "b"}, pin_key="m", plan_mode="plan"), read(2)],
    ids=["update", "read"],
)
async def test_what_is_about_a_chat_disturbs_no_step_of_its_turn(
    database: Database, guard: Guard, chats: Chats, about: ChatCommand
) -> None:
    async with another_process(database, guard) as others:
        async for chat_id, *outcomes in every_race(
            (chats, others), running, does(about), does(commit_step(2))
        ):
            assert outcomes == ["appended", "appended"]
            state = await state_in_log(database, chat_id)
            assert len(state.messages) == 2
            assert (state.title, state.read_up_to) in (("noon", 0), ("hello", 2))
