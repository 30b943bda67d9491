"""The HTTP API and its streams, for programs: what the command line is made of.

`follow` keeps a place in a chat: it reconnects with the id of the last frame that it
gave out, so its caller sees every frame once, whatever happens to connections. `watch`
folds the frames into a `ChatView`, and `turn_finished` waits until a chat is at rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Any, cast

import httpx2

from service.client import following
from service.client.http import ApiError as ApiError
from service.client.http import ConnectionFailed as ConnectionFailed
from service.client.http import Http, Tally
from service.client.shapes import (
    Chat,
    ChatCost,
    ChatPage,
    ChatRef,
    CostSummary,
    Edited,
    MessagePage,
    Prompt,
    RecordedEvent,
    Sent,
    ToolResult,
    chat_id_of,
)
from service.client.shapes import Frame as Frame
from service.client.view import ChatView

CHATS = "/api/v1/chats"


class Client:
    """One service and one token. An async context manager.

    `http` may bring its own transport (tests); it is closed with the client. What
    changes something takes a `key`: the same key again gives the first result. Raises
    ApiError when the service refuses, ConnectionFailed when it stays away.
    """

    def __init__(
        self, url: str, token: str, *, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._http = Http(url, token, http=http)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    @property
    def tally(self) -> Tally:
        """What was repeated and reconnected so far."""
        return self._http.tally

    async def create(self, text: str, *, key: str | None = None, **fields: Any) -> Chat:
        """Create a chat with a first message of one text.

        `fields` are those of the API: system_prompt, labels, client_tools, ...
        """
        made = await self._http.change("POST", CHATS, _said(text) | fields, key=key)
        return cast(Chat, made)

    async def fork(
        self, chat: ChatRef, *, version: int | None = None, key: str | None = None
    ) -> Chat:
        """A new chat that begins as a copy of this one, up to a version or whole."""
        body = {} if version is None else {"version": version}
        return cast(Chat, await self._on(chat, "/fork", body, key=key))

    async def update(
        self, chat: ChatRef, *, key: str | None = None, **changes: Any
    ) -> None:
        """Change what is given, all of it or nothing: title, labels, archived, ..."""
        await self._on(chat, "", changes, method="PATCH", key=key)

    async def send(
        self,
        chat: ChatRef,
        text: str,
        *,
        busy_behavior: str = "queue",
        key: str | None = None,
        **fields: Any,
    ) -> Sent:
        """Say something in a chat; `interrupt` stops a running turn for it."""
        body = _said(text) | {"busy_behavior": busy_behavior} | fields
        return cast(Sent, await self._on(chat, "/messages", body, key=key))

    async def edit(
        self,
        chat: ChatRef,
        message_id: int,
        text: str,
        *,
        key: str | None = None,
        **fields: Any,
    ) -> Edited:
        """Take a message of yours and all after it back, and say this instead."""
        where, body = f"/messages/{message_id}", _said(text) | fields
        edited = await self._on(chat, where, body, method="PATCH", key=key)
        return cast(Edited, edited)

    async def delete_queued(
        self, chat: ChatRef, queued_id: int, *, key: str | None = None
    ) -> None:
        """Take a message out of the queue."""
        where = f"/queue/{queued_id}"
        await self._on(chat, where, None, method="DELETE", key=key)

    async def promote(
        self, chat: ChatRef, queued_id: int, *, key: str | None = None
    ) -> Chat:
        """Put a message of the queue first, and stop a running turn for it."""
        where = f"/queue/{queued_id}/promote"
        return cast(Chat, await self._on(chat, where, {}, key=key))

    async def interrupt(self, chat: ChatRef, *, key: str | None = None) -> Chat:
        """Stop the running turn."""
        return cast(Chat, await self._on(chat, "/interrupt", {}, key=key))

    async def submit_tool_results(
        self, chat: ChatRef, results: Iterable[ToolResult], *, key: str | None = None
    ) -> None:
        """Answer the calls that wait for a client, all of them."""
        body = {"results": list(results)}
        await self._on(chat, "/tool-results", body, key=key)

    async def read(
        self, chat: ChatRef, message_id: int | None = None, *, key: str | None = None
    ) -> None:
        """Say that everything up to a message, or to the newest, has been read."""
        body = {} if message_id is None else {"message_id": message_id}
        await self._on(chat, "/read", body, key=key)

    async def regenerate_title(self, chat: ChatRef, *, key: str | None = None) -> Chat:
        """Have a model give the chat a title; who renamed it meanwhile wins."""
        return cast(Chat, await self._on(chat, "/title/regenerate", {}, key=key))

    async def propose_title(self, chat: ChatRef) -> str:
        """A title that a model thinks of; the chat does not change."""
        told = await self._on(chat, "/title/propose", {}, key=None)
        return cast(str, told["title"])

    async def get(self, chat: ChatRef, *, at_version: int | None = None) -> Chat:
        """The chat as it is now, or as it was at a version."""
        return cast(Chat, await self._http.get(_path(chat), at_version=at_version))

    async def chats(self, **query: Any) -> ChatPage:
        """A page of the caller's chats: pins, then newest change first.

        `limit`, `cursor`, and filters: `archived`, `has_unread`, `title`, `search`, and
        `label`, one `key:value` or a list of them.
        """
        return cast(ChatPage, await self._http.get(CHATS, **query))

    async def messages(
        self, chat: ChatRef, *, at_least: int | None = None, **query: Any
    ) -> MessagePage:
        """A page of a chat's messages: `limit`, `before_id`, `after_id`, `at_version`.

        `at_least`: wait until it shows this version of the chat.
        """
        headers = _fresh(chat, at_least)
        page = await self._http.get(f"{_path(chat)}/messages", headers=headers, **query)
        return cast(MessagePage, page)

    async def prompts(self, chat: ChatRef, *, limit: int | None = None) -> list[Prompt]:
        """What the user said in a chat, newest first."""
        told = await self._http.get(f"{_path(chat)}/prompts", limit=limit)
        return cast(list[Prompt], told["prompts"])

    async def chat_cost(
        self, chat: ChatRef, *, at_least: int | None = None
    ) -> ChatCost:
        """What a chat's whole family cost so far.

        `at_least`: wait until it counts this version of the chat.
        """
        headers = _fresh(chat, at_least)
        cost = await self._http.get(f"{_path(chat)}/cost", headers=headers)
        return cast(ChatCost, cost)

    async def cost_summary(
        self, *, start: datetime | None = None, end: datetime | None = None
    ) -> CostSummary:
        """What the caller spent in a span of time; by default in the last 30 days.

        Times say their zone. `end` is not part of the span.
        """
        spent = await self._http.get(
            "/api/v1/cost/me/summary", start_date=_told(start), end_date=_told(end)
        )
        return cast(CostSummary, spent)

    async def events(self, chat: ChatRef) -> AsyncGenerator[RecordedEvent, None]:
        """The events of a chat, as the log has them, up to its head."""
        after: str | None = None
        while True:
            page = await self._http.get(f"{_path(chat)}/events", after=after)
            for event in page["events"]:
                yield event
            if not page["events"]:
                return
            after = page["next"]

    async def follow_chats(
        self, *, after: str | None = None
    ) -> AsyncGenerator[Frame, None]:
        """What happens to all chats of the caller, for ever; None begins now."""
        path = f"{CHATS}/watch"
        async with aclosing(following.follow(self._http, path, after=after)) as frames:
            async for frame in frames:
                yield frame

    async def follow(
        self, chat: ChatRef, *, after: str | None = None
    ) -> AsyncGenerator[Frame, None]:
        """Every frame after this place, for ever; None begins with a snapshot.

        Reconnects, with back-off, until the service says that it is for good: raises
        ApiError for 4xx. `bye` and id-only blocks move the place and are not given out.
        """
        path = f"{_path(chat)}/stream"
        async with aclosing(following.follow(self._http, path, after=after)) as frames:
            async for frame in frames:
                yield frame

    async def watch(
        self, chat: ChatRef, *, after: str | None = None
    ) -> AsyncGenerator[tuple[ChatView, Frame], None]:
        """The chat as it is after each frame: one view, which grows, and the frame."""
        view = ChatView()
        async with aclosing(self.follow(chat, after=after)) as frames:
            async for frame in frames:
                view.apply(frame)
                yield view, frame

    async def turn_finished(
        self, chat: ChatRef, *, after: str | None = None, timeout_s: float | None = None
    ) -> ChatView:
        """Wait until nothing runs and nothing waits in the queue; gives the view.

        Also when it is so already, and when the chat waits for tools of the client.
        `after="0"` reads the whole chat, so that `turns` and `messages` are complete.
        Raises TimeoutError after `timeout_s` seconds.
        """
        return await self._until(chat, _ended, after=after, timeout_s=timeout_s)

    async def shows(
        self,
        chat: ChatRef,
        done: Callable[[ChatView], object],
        *,
        after: str | None = None,
        timeout_s: float | None = None,
    ) -> ChatView:
        """Wait until the chat looks as `done` says; gives the view as it is then.

        Raises TimeoutError after `timeout_s` seconds.
        """
        return await self._until(
            chat, lambda view, _: done(view), after=after, timeout_s=timeout_s
        )

    async def _until(
        self,
        chat: ChatRef,
        done: Callable[[ChatView, Frame], object],
        *,
        after: str | None,
        timeout_s: float | None,
    ) -> ChatView:
        async with (
            asyncio.timeout(timeout_s),
            aclosing(self.watch(chat, after=after)) as watching,
        ):
            async for view, frame in watching:
                if done(view, frame):
                    return view
        raise AssertionError("a chat is followed for ever")

    async def _on(
        self,
        chat: ChatRef,
        where: str,
        body: dict[str, Any] | None,
        *,
        key: str | None,
        method: str = "POST",
    ) -> dict[str, Any]:
        return await self._http.change(method, _path(chat) + where, body, key=key)


def _ended(view: ChatView, frame: Frame) -> bool:
    """Whether a turn is over, its last frame included: `turn_finished` ends one."""
    if frame.name == "status" and view.status != "requires_action":
        return False
    return view.caught_up and view.at_rest


def _fresh(chat: ChatRef, version: int | None) -> dict[str, str]:
    """Headers of a read that waits until it shows this version."""
    if version is None:
        return {}
    seen = f"{chat_id_of(chat)}:{version}"
    return {"parley-min-version": seen, "prefer": "wait"}


def _told(at: datetime | None) -> str | None:
    """The time as the API reads it. Raises ValueError without a time zone."""
    if at is not None and at.tzinfo is None:
        raise ValueError(f"{at} says no time zone")
    return None if at is None else at.isoformat()


def _path(chat: ChatRef) -> str:
    return f"{CHATS}/{chat_id_of(chat)}"


def _said(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}
