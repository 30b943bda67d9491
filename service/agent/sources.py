"""What a prompt is made of besides the chat: loaded for each request, all at once.

Only the files that users attached must be there. Whatever else fails, or takes too
long, is left out with a warning: an answer without a user's habits is better than none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from uuid import UUID

from service.domain.chat.state import ChatState
from service.providers.provider import FileContent

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 5.0
"""For what can be left out; somebody waits for the answer."""


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file of the workspace that tells how to work there."""

    path: str
    content: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ContextBlock:
    """Where the chat's tools work."""

    operating_system: str | None = None
    directory: str | None = None
    files: Sequence[ContextFile] = ()


@dataclass(frozen=True, slots=True)
class Skill:
    """Instructions that the model may read when it needs them."""

    name: str
    description: str


async def nothing(*_: object) -> None:
    """There is none."""


async def none(*_: object) -> Mapping[UUID, FileContent]:
    """There are no files."""
    return {}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the rest of a prompt comes from. All are given ids, and may be slow."""

    user_prompt: Callable[[UUID], Awaitable[str]]
    """What a user, by id, wants to be followed in all chats; may be empty."""
    context: Callable[[UUID, ChatState], Awaitable[ContextBlock | None]] = nothing
    skills: Callable[[UUID, ChatState], Awaitable[Sequence[Skill] | None]] = nothing
    files: Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, FileContent]]] = none
    """Those that still exist; one that fails ends the attempt."""
    plan_path: Callable[[UUID, ChatState], Awaitable[str | None]] = nothing
    """Where this chat's plan is written; asked only in turns that plan."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of the sources."""

    user_prompt: str
    context: ContextBlock | None
    skills: Sequence[Skill]
    plan_path: str | None
    files: Mapping[UUID, FileContent]


async def load(
    sources: Sources, chat_id: UUID, state: ChatState, *, file_ids: Sequence[UUID]
) -> Loaded:
    """Everything, concurrently. Raises what loading the files raises."""
    owner_id = state.owner_id
    assert owner_id is not None  # noqa: S101  a chat that exists has an owner
    planning = state.turn_plan_mode == "plan" and state.is_root
    plan_path = sources.plan_path if planning else nothing
    try:
        async with asyncio.TaskGroup() as group:
            start = group.create_task
            files = start(_files(sources, file_ids))
            user = start(_optional("user prompt", sources.user_prompt, owner_id))
            context = start(_optional("context", sources.context, chat_id, state))
            skills = start(_optional("skills", sources.skills, chat_id, state))
            path = start(_optional("plan path", plan_path, chat_id, state))
    except ExceptionGroup as failed:
        # only the files can fail
        raise failed.exceptions[0] from failed
    return Loaded(
        user_prompt=user.result() or "",
        context=context.result(),
        skills=skills.result() or (),
        plan_path=path.result(),
        files=files.result(),
    )


async def _files(
    sources: Sources, file_ids: Sequence[UUID]
) -> Mapping[UUID, FileContent]:
    """In the order in which they are mentioned."""
    if not file_ids:
        return {}
    found = await sources.files(file_ids)
    return {file_id: found[file_id] for file_id in file_ids if file_id in found}


async def _optional(
    what: str,
    load_it: Callable[P, Awaitable[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await load_it(*args, **kwargs)
    except Exception:
        # the edge of whatever it is loaded from: told without
        logger.warning(
            "a part of the prompt is left out", extra={"part": what}, exc_info=True
        )
        return None
