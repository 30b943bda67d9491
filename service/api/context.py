"""What the endpoints work with: built once by `service.app`, found on the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from starlette.requests import Request

from service.api.limits import Limits
from service.api.problems import chat_not_found
from service.auth.bearer import Bearer
from service.auth.policy import Action, Resource, Subject, allowed
from service.auth.tickets import Tickets
from service.db.pool import Pool
from service.domain.events.chat import Purpose
from service.domain.ids import ChatId
from service.errors import Rejection
from service.eventstore.fold import Loaded
from service.eventstore.handle import Chats
from service.metrics import Metrics
from service.providers.models import Model, Models
from service.providers.provider import ProviderError
from service.stream.feeds import Feeds
from service.stream.hub import Hub

DeploymentPrompt = Callable[[], Awaitable[tuple[bool, str]]]
"""Whether new chats are told our default prompt, and what the operator adds to it."""


async def only_the_default() -> tuple[bool, str]:
    """The operator adds nothing."""
    return True, ""


UsableModel = Callable[[UUID], Awaitable[bool]]
"""Whether there is such a model config, and a turn could ask it."""


async def no_config(_config_id: UUID) -> bool:
    """There are no configs."""
    return False


class NoModels:
    """Of a process that has no models: whoever wants to ask one is told so."""

    async def resolve(
        self,
        *,
        owner_id: UUID,
        model_config_id: UUID | None,
        purpose: Purpose = "turn",
    ) -> Model:
        """There is none."""
        raise ProviderError("config", "this process asks no models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What it takes to say how a process is doing, whatever its roles."""

    pool: Pool
    bearer: Bearer
    metrics: Metrics
    metrics_public: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Vitals):
    """The parts of the process that requests are served with."""

    chats: Chats
    tickets: Tickets
    hub: Hub
    feeds: Feeds
    now: Callable[[], datetime]
    models: Models = field(default_factory=NoModels)
    deployment_prompt: DeploymentPrompt = only_the_default
    usable_model: UsableModel = no_config
    stream_lifetime_s: float = 600.0


def context_of(request: Request) -> Context:
    """The context of the application that serves this request."""
    context: Context = request.state.context
    return context


def vitals_of(request: Request) -> Vitals:
    """The part of the context that every process has."""
    vitals: Vitals = request.state.context
    return vitals


async def subject_of(request: Request) -> Subject:
    """Who asks. Raises Rejection `unauthorized`, TooMany, or Unavailable."""
    vitals = vitals_of(request)
    subject = await vitals.bearer.subject(request.headers.get("authorization"))
    vitals.limits.request(subject.token_id)
    return subject


def note(request: Request, **values: object) -> None:
    """Add values to the request's one log record."""
    request.scope.setdefault("log", {}).update(values)


def chat_id_of(request: Request) -> ChatId:
    """The chat named in the path. Raises Rejection `invalid-id`."""
    text = request.path_params["chat_id"]
    try:
        chat_id = ChatId(UUID(text))
    except ValueError:
        _refuse_id()
    # the same id in braces, as a URN or without hyphens is not how we write it
    return chat_id if str(chat_id) == text.lower() else _refuse_id()


async def load_chat(
    request: Request, subject: Subject, action: Action
) -> tuple[ChatId, Loaded]:
    """The chat named in the path, folded from its stream.

    Raises the same Rejection for a chat that does not exist and for one that the
    subject may not see.
    """
    chat_id = chat_id_of(request)
    note(request, chat_id=str(chat_id))
    loaded = await context_of(request).chats.load(chat_id)
    if not may_read(subject, loaded, action):
        raise chat_not_found()
    return chat_id, loaded


def known_chat(request: Request, subject: Subject) -> tuple[ChatId, Loaded] | None:
    """The same for reading it, as this process last saw it; None: it has to be read."""
    chat_id = chat_id_of(request)
    known = context_of(request).chats.peek(chat_id)
    if known is None or not may_read(subject, known):
        return None
    note(request, chat_id=str(chat_id))
    return chat_id, known


def may_read(subject: Subject, loaded: Loaded, action: Action = "chat.read") -> bool:
    """Whether there is such a chat for the subject, who may do this to it."""
    state = loaded.state
    resource = Resource(owner_id=state.owner_id, organization_id=state.organization_id)
    return state.exists and allowed(subject, action, resource)


def _refuse_id() -> NoReturn:
    raise Rejection("invalid-id", "the chat's id is not a UUID")
