"""Chats that a test has brought to where it wants them, made through the API."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from service.domain.commands.chat import (
    CommitStep,
    CreateChat,
    DraftMessage,
    RequireAction,
    ScheduleRetry,
)
from service.domain.events.chat import ChatError, ChatEvent, MessageQueued
from service.domain.ids import CHAT
from service.domain.parts import TextPart, ToolCallPart
from service.eventstore import codec
from service.eventstore.records import AppendRequest, StreamAppend, StreamName
from service.readmodels.progress import Target
from service.subscription.listener import LOG_CHANNEL
from service.subscription.wakeup import Wakeup
from tests.builders import ORGANIZATION, OWNER
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import PATIENCE_S, Api, said

CREATE = "/api/v1/chats"


def path(chat: ChatByHand, *steps: object) -> str:
    return "/".join((f"{CREATE}/{chat.id}", *map(str, steps)))


def slug(answered: httpx2.Response) -> str:
    kind: str = answered.json()["type"]
    return kind.removeprefix("/problems/")


def fields(answered: httpx2.Response) -> list[str]:
    return [error["field"] for error in answered.json().get("errors", ())]


async def patch(
    api: Api, where: str, body: Any, *, key: str | None = None
) -> httpx2.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await api.http.patch(where, json=body, headers=headers)


async def delete(api: Api, where: str, *, key: str | None = None) -> httpx2.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await api.http.delete(where, headers=headers)


class Projecting:
    """A projector that runs while a test needs one."""

    def __init__(self, api: Api) -> None:
        self._database = api.stack.database
        self._listener = api.stack.listener

    async def __aenter__(self) -> None:
        wakeup = Wakeup()
        self._listener.subscribe(LOG_CHANNEL, lambda _: wakeup.ring())
        runner = ProjectionRunner(
            self._database, PROJECTIONS, wakeup, poll_interval_s=1
        )
        self._task = asyncio.create_task(runner.run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def projected(api: Api) -> None:
    """Wait until a projector that runs has everything."""
    head = await api.positions()
    async with asyncio.timeout(PATIENCE_S):
        while await api.stack.feeds.progress.wait(
            ("chats",), Target(UUID(int=0), 1, head)
        ):
            pass


def tool(name: str = "get_location", **fields: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object"}, **fields}


async def begun(api: Api, text: str = "hello", **fields: Any) -> ChatByHand:
    """A chat of the first user, running and held."""
    chat = ChatByHand(api.stack, UUID((await api.create(text, **fields))["id"]))
    await chat.acquire()
    return chat


async def at_rest(api: Api, text: str = "hello", **fields: Any) -> ChatByHand:
    """A chat of the first user after one whole turn."""
    chat = await begun(api, text, **fields)
    await answer(chat)
    return chat


async def failed(api: Api) -> ChatByHand:
    chat = await begun(api)
    await chat.attempt()
    await chat.fail()
    return chat


async def answer(chat: ChatByHand, text: str = "hi") -> None:
    """Finish the turn that runs, with this answer."""
    await chat.attempt()
    await chat.commit(text)
    await chat.finish()


async def waiting_for_client(api: Api, *call_ids: str) -> ChatByHand:
    """A chat whose model called a tool of the client, once for each id."""
    chat = await begun(api, client_tools=[tool()])
    await call_client(api, chat, *call_ids)
    return chat


async def call_client(api: Api, chat: ChatByHand, *call_ids: str) -> None:
    await chat.attempt()
    state = await chat.state()
    assert state.holder is not None
    fence = {"worker": state.holder.worker, "term": state.holder.term}
    calls = tuple(
        ToolCallPart(tool_call_id=call, tool_name="get_location", args={})
        for call in call_ids or ("c1",)
    )
    await chat.execute(
        CommitStep(
            now=api.stack.now(),
            **fence,
            epoch=state.epoch,
            attempt=state.attempt,
            kind="model",
            messages=(DraftMessage(role="assistant", parts=calls),),
        )
    )
    await chat.execute(
        RequireAction(
            now=api.stack.now(),
            **fence,
            epoch=(await chat.state()).epoch,
            deadline=api.stack.now() + timedelta(minutes=5),
        )
    )


async def retry(api: Api, chat: ChatByHand) -> None:
    """The open attempt failed, and is tried again at once."""
    state = await chat.state()
    assert state.holder is not None
    await chat.execute(
        ScheduleRetry(
            now=api.stack.now(),
            worker=state.holder.worker,
            term=state.holder.term,
            epoch=state.epoch,
            attempt=state.attempt,
            delay_ms=1000,
            retrying_at=api.stack.now(),
            error=ChatError(message="busy", kind="overloaded", retryable=True),
        )
    )


async def queued(api: Api, chat: ChatByHand, *texts: str) -> list[int]:
    """Ids of messages that were sent to the busy chat."""
    path = f"{CREATE}/{chat.id}/messages"
    answers = [await api.post(path, said(text)) for text in texts]
    return [a.json()["queued_message"]["id"] for a in answers]


async def spawned(api: Api, root: ChatByHand) -> ChatByHand:
    child = ChatByHand(api.stack, uuid4())
    command = CreateChat(
        now=api.stack.now(),
        organization_id=ORGANIZATION,
        owner_id=api.user_id,
        title="child",
        parts=(TextPart(text="count"),),
        parent_chat_id=root.id,
        root_chat_id=root.id,
    )
    await api.stack.chats.spawn(root.id, child.id, command, actor="test")
    return child


async def break_state(api: Api, chat: ChatByHand) -> None:
    """Bring a chat at rest into no legal state: it waits, with a queue."""
    event = MessageQueued(
        at=api.stack.now(),
        parts=(TextPart(text="lost"),),
        created_by=OWNER,
        busy_behavior="queue",
    )
    await append(api, chat, event)


async def append(api: Api, chat: ChatByHand, *events: ChatEvent) -> None:
    """Write events that no command would."""
    loaded = await api.stack.chats.load(chat.id)
    encoded = tuple(codec.encode(event, {"actor": "test"}) for event in events)
    stream = StreamName(CHAT, chat.id)
    await api.stack.appender.append(
        AppendRequest(
            (StreamAppend(stream, loaded.version, encoded, loaded.digest),),
            f"test:{uuid4()}",
            uuid4().bytes,
        )
    )
