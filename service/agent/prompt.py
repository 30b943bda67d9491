"""What a model is asked: the one function that makes a request of a chat.

The same for a turn's every step and for the summary that shortens a history, so that
these begin alike and vendors' caches hold: the same chat and the same sources give an
equal request. What it is told first has a fixed order: our prompt, the operator's, the
chat's own, where it works, whom it works for, the workspace, skills, the user's own
instructions, and what kind of turn this is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from service.agent import sources as loading
from service.agent.sources import ContextBlock, ContextFile, Loaded, Skill, Sources
from service.agent.turn import offered, turn_settings
from service.domain import prompts
from service.domain.chat.context import model_messages
from service.domain.chat.state import ChatState, Message
from service.domain.parts import FilePart, TextPart
from service.domain.prompt_text import (
    AVAILABLE_SKILLS,
    USER_INSTRUCTIONS,
    WORKSPACE_CONTEXT,
    bounded,
    sanitised,
    wrapped,
)
from service.providers.models import Model
from service.providers.provider import ModelRequest
from service.tools.registry import Registry

logger = logging.getLogger(__name__)

SKILLS_USED = """\
These skills are instructions for special tasks. Before you begin such a task, read \
the one that fits with read_skill; ignore the others."""


async def model_request(
    state: ChatState,
    model: Model,
    tools: Registry,
    sources: Sources,
    *,
    chat_id: UUID,
) -> ModelRequest:
    """What the model is asked next. Raises what loading the users' files raises."""
    settings = turn_settings(state)
    seen = model_messages(state)
    messages = [message for message in seen if message.role != "system"]
    loaded = await loading.load(sources, chat_id, state, file_ids=_file_ids(messages))
    return ModelRequest(
        messages=messages,
        tools=offered(tools, state),
        system=_system(state, seen, tools, loaded),
        model=model.configured_name or settings.model,
        reasoning_effort=model.effort(settings.reasoning_effort),
        plan_mode=settings.plan_mode or "",
        max_output_tokens=model.max_output_tokens,
        temperature=model.temperature,
        options=model.options,
        files=loaded.files,
        attempt=state.attempt + 1,
        session=str(state.root_chat_id or chat_id),
    )


async def summary_request(
    state: ChatState,
    model: Model,
    tools: Registry,
    sources: Sources,
    *,
    chat_id: UUID,
) -> ModelRequest:
    """The same, and then the wish for a summary; no tool may be called for it."""
    request = await model_request(state, model, tools, sources, chat_id=chat_id)
    last = request.messages[-1] if request.messages else None
    wish = Message(
        id=state.version + 1,
        role="user",
        visibility="model",
        parts=(TextPart(text=prompts.SUMMARY_INSTRUCTION),),
        # no clock: the same chat gives the same request
        created_at=last.created_at if last is not None else _born(state),
    )
    return replace(request, messages=[*request.messages, wish], tool_choice="none")


def _born(state: ChatState) -> datetime:
    assert state.created_at is not None  # noqa: S101  a chat that exists began once
    return state.created_at


def _file_ids(messages: Iterable[Message]) -> Sequence[UUID]:
    """Of the files that users attached, each once; models' own are for people."""
    return tuple(
        dict.fromkeys(
            part.file_id
            for message in messages
            if message.role == "user"
            for part in message.parts
            if isinstance(part, FilePart)
        )
    )


def _system(
    state: ChatState, seen: Iterable[Message], tools: Registry, loaded: Loaded
) -> tuple[str, ...]:
    """What the model is told first: each text once, none of them blank."""
    path = sanitised(loaded.plan_path or "")
    block = prompts.plan_path_block(path) if path else ""
    told = (_placed(text, block) for text in _sections(state, seen, tools, loaded))
    return tuple(dict.fromkeys(filter(None, told)))


def _sections(
    state: ChatState, seen: Iterable[Message], tools: Registry, loaded: Loaded
) -> Iterator[str]:
    """In their order; those that say nothing are empty."""
    child = not state.is_root
    yield _default(state)
    yield bounded(state.deployment_prompt)
    yield from (bounded(_first_text(m)) for m in seen if m.role == "system")
    if prompts.WORKSPACE_TOOLS & {tool.name for tool in tools.specs()}:
        yield prompts.awareness(attached=state.workspace_id is not None, child=child)
    if child:
        yield prompts.SUBAGENT_NOTE
    yield _context(loaded.context)
    yield _skills(loaded.skills)
    yield wrapped(USER_INSTRUCTIONS, loaded.user_prompt)
    # no chat only explores before there are chats that others spawn for it
    planning = state.turn_plan_mode == "plan"
    yield prompts.overlay(exploring=False, planning=planning, child=child)


def _placed(text: str, block: str) -> str:
    """The text with the plan's path where it asks for it."""
    if prompts.PLAN_PATH not in text:
        return text
    return sanitised(text.replace(prompts.PLAN_PATH, block))


def _default(state: ChatState) -> str:
    number = state.default_prompt
    if number == prompts.NO_PROMPT:
        return ""
    if number not in prompts.DEFAULT_PROMPTS:
        # a newer release created the chat; what we have is closer than nothing
        logger.warning("unknown default prompt", extra={"number": number})
        number = prompts.CURRENT_PROMPT
    return prompts.DEFAULT_PROMPTS[number].strip()


def _first_text(message: Message) -> str:
    texts = (part.text for part in message.parts if isinstance(part, TextPart))
    return next(texts, "")


def _context(context: ContextBlock | None) -> str:
    if context is None:
        return ""
    machine = [
        ("Operating system", context.operating_system),
        ("Working directory", context.directory),
    ]
    head = "\n".join(f"{name}: {_line(said)}" for name, said in machine if said)
    files = [_file(file) for file in context.files if sanitised(file.content)]
    return wrapped(WORKSPACE_CONTEXT, "\n\n".join(filter(None, [head, *files])))


def _file(file: ContextFile) -> str:
    cut = " (only its beginning)" if file.truncated else ""
    return f"Source: {_line(file.path)}{cut}\n{sanitised(file.content)}"


def _skills(skills: Sequence[Skill]) -> str:
    lines = [
        f"- {name}: {_line(skill.description)}"
        for skill in skills
        if (name := _line(skill.name))
    ]
    if not lines:
        return ""
    return wrapped(AVAILABLE_SKILLS, "\n".join([SKILLS_USED, "", *lines]))


def _line(text: str) -> str:
    """On one line."""
    return " ".join(sanitised(text).split())
