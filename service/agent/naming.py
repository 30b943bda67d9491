"""Beside a turn: a title for a chat that has none but its first words.

At most once a turn, when the turn begins, and only in a chat's first three turns. The
task needs no lease and outlives the turn: whoever renames the chat meanwhile wins, and
what the model took is recorded all the same. Whatever goes wrong is logged; the next
turn tries again.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid4

from service.agent.backoff import Backoff
from service.agent.hold import AWAY, Hold
from service.agent.means import Means
from service.domain.chat.state import ChatState, Message
from service.domain.commands.chat import NameChat
from service.errors import FutureEvent, Rejection, StreamPurged, Unavailable
from service.eventstore.handle import Handled
from service.providers.models import Model
from service.providers.provider import ProviderError
from service.providers.title import Named, propose_title

logger = logging.getLogger(__name__)

TURNS = 3
"""A chat that three turns gave no title keeps its first words."""


def start_naming(
    state: ChatState, hold: Hold, means: Means
) -> asyncio.Task[None] | None:
    """Ask for a title if this is the time to; call it whenever a turn goes on.

    `means.background` keeps the task, and ends it when the worker stops.
    """
    if hold.named_turn == state.turn_id or not wants_title(state):
        return None
    if hold.chat_id in means.background:
        return None
    hold.named_turn = state.turn_id
    task = asyncio.create_task(_name(state, hold, means), name="naming")
    means.background.keep(hold.chat_id, task)
    return task


def wants_title(state: ChatState) -> bool:
    """Whether the turn has only just begun, and no title was ever given."""
    if state.title_source != "fallback" or not state.is_root or state.attempt:
        return False
    if state.turn_id is None or state.messages[-1].id != state.turn_id:
        return False
    return len(_asked(state)) <= TURNS


def _asked(state: ChatState) -> list[Message]:
    """What users said: all that there is to a title."""
    return [m for m in state.messages if m.role == "user" and m.visibility != "model"]


async def _name(state: ChatState, hold: Hold, means: Means) -> None:
    chat_id, owner_id = hold.chat_id, state.owner_id
    assert owner_id is not None  # noqa: S101  a chat that exists has an owner
    try:
        model = await means.models.resolve(
            owner_id=owner_id, model_config_id=state.model_config_id, purpose="title"
        )
    except (ProviderError, Unavailable) as error:
        logger.warning("no model for a title", extra=_about(chat_id, error))
        return
    if not model.names_chats:
        return
    means.guard.check("a model call")
    named = await propose_title(model, _asked(state))
    if named.error is not None:
        logger.warning("no title came", extra=_about(chat_id, named.error))
    if named.title is None and named.usage is None:
        return
    try:
        await _record(state, named, hold, model=model)
    except (Rejection, StreamPurged, FutureEvent) as error:
        logger.info("a title came too late", extra=_about(chat_id, error))


async def _record(
    state: ChatState, named: Named, hold: Hold, *, model: Model
) -> Handled:
    """Name the chat, however often the database is away."""
    actor, unique, backoff = f"worker:{hold.lease.worker}", uuid4(), Backoff()
    command = NameChat(
        now=hold.now(),
        actor=actor,
        asked=model.ref,
        title=named.title,
        expected_title=state.title,
        unasked=True,
        usage=named.usage,
        cost_micros=model.cost(named.usage),
        runtime_ms=named.runtime_ms,
    )
    while True:
        try:
            # one key for all tries: an unknown outcome becomes known by asking again
            return await hold.chats.execute(
                hold.chat_id,
                command,
                actor=actor,
                key=f"{actor}:{unique}",
                request_hash=unique.bytes,
                causation_id=f"{hold.chat_id}:{state.version}",
            )
        except AWAY:
            await asyncio.sleep(backoff.next())


def _about(chat_id: UUID, error: Exception) -> dict[str, str]:
    return {"chat_id": str(chat_id), "reason": str(error)}
