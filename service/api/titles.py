"""Titles that a model gives: kept, or only proposed.

The model is asked while no connection is held, and what it took is recorded whatever
becomes of the title. A title is kept only while the chat still has the one that was
read: who renamed it meanwhile wins.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_optional_body
from service.api.context import context_of, load_chat, subject_of
from service.api.perform import (
    CHATS,
    Asked,
    Target,
    actor,
    chat_response,
    json_response,
    last_version,
    perform,
    state_after,
    target_of,
    was_accepted,
)
from service.api.schemas import NothingBody
from service.domain.commands.chat import NameChat
from service.domain.events.chat import ModelRef, TitleChanged
from service.errors import Rejection
from service.eventstore.handle import Handled
from service.providers.models import Model
from service.providers.provider import ProviderError
from service.providers.title import Named, propose_title

REPEATED = ModelRef(provider="none", model="none")
"""Of a command that only finds what an earlier one did."""


class ProposedTitle(BaseModel):
    """A title that the chat does not have."""

    model_config = ConfigDict(extra="forbid")

    title: str


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What a model said, and which one."""

    model: Model
    named: Named


async def regenerate_title(request: Request) -> Response:
    """200 and the chat with its new title; archived chats have titles too."""
    target = await target_of(request, "chat.update")
    body = await read_optional_body(request, NothingBody)
    path = f"{CHATS}/{target.chat_id}/title/regenerate"
    asked = Asked(path, body, target.key)
    if target.key is not None and await was_accepted(
        request, target.subject, target.chat_id, target.key
    ):
        return await _again(request, target, asked)
    proposal = await _proposed(request, target, path=path)
    command = _command(request, target, proposal, keep=True)
    handled = await perform(
        request, target.subject, target.chat_id, command, asked=asked
    )
    await _check_kept(request, target, handled, title=proposal.named.title)
    return await chat_response(request, target.chat_id, handled)


async def propose_chat_title(request: Request) -> Response:
    """200 and a title, which the chat does not get."""
    subject = await subject_of(request)
    chat_id, loaded = await load_chat(request, subject, "chat.update")
    target = Target(subject, None, chat_id, loaded)
    await read_optional_body(request, NothingBody)
    path = f"{CHATS}/{chat_id}/title/propose"
    proposal = await _proposed(request, target, path=path)
    handled = await _record(request, target, proposal, path=path)
    about = (chat_id, last_version(handled))
    return json_response({"title": proposal.named.title}, about=about)


async def _again(request: Request, target: Target, asked: Asked) -> Response:
    """The answer to what was asked before; no model is asked for it."""
    command = NameChat(
        now=context_of(request).now(),
        actor=actor(target.subject),
        asked=REPEATED,
        expected_title=target.loaded.state.title,
    )
    handled = await perform(
        request, target.subject, target.chat_id, command, asked=asked
    )
    return await chat_response(request, target.chat_id, handled)


async def _proposed(request: Request, target: Target, *, path: str) -> _Proposal:
    """A title. Raises Rejection: `no-model`, `no-title`."""
    state = target.loaded.state
    assert state.owner_id is not None  # noqa: S101  a chat that exists has an owner
    try:
        model = await context_of(request).models.resolve(
            owner_id=state.owner_id,
            model_config_id=state.model_config_id,
            purpose="title",
        )
    except ProviderError as error:
        raise Rejection("no-model", error.message) from error
    proposal = _Proposal(model, await propose_title(model, state.messages))
    named = proposal.named
    if named.title is not None:
        return proposal
    if named.usage is not None:
        await _record(request, target, proposal, path=path)
    if named.error is not None:
        raise Rejection("no-title", named.error.message) from named.error
    raise Rejection("no-title", "the model said nothing that makes a title")


async def _record(
    request: Request, target: Target, proposal: _Proposal, *, path: str
) -> Handled:
    """Record what the model took. Without a key: who tries again asks again."""
    command = _command(request, target, proposal, keep=False)
    asked = Asked(path, NothingBody(), None)
    return await perform(request, target.subject, target.chat_id, command, asked=asked)


def _command(
    request: Request, target: Target, proposal: _Proposal, *, keep: bool
) -> NameChat:
    named, model = proposal.named, proposal.model
    return NameChat(
        now=context_of(request).now(),
        actor=actor(target.subject),
        asked=model.ref,
        title=named.title if keep else None,
        expected_title=target.loaded.state.title,
        usage=named.usage,
        cost_micros=model.cost(named.usage),
        runtime_ms=named.runtime_ms,
    )


async def _check_kept(
    request: Request, target: Target, handled: Handled, *, title: str | None
) -> None:
    """Raise Rejection `title-changed` when somebody else was faster."""
    if any(isinstance(event, TitleChanged) for _, event in handled.events):
        return
    state = await state_after(request, target.chat_id, handled)
    if state.title != title:
        raise Rejection("title-changed", "the chat was renamed meanwhile")
