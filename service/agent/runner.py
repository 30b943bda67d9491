"""Runs an acquired chat: read its state, do the next action, again, until it rests.

What only waits is not run: the runner leaves, and says until when. Commands that the
log refuses are an expected way out: somebody else was faster, so the state is read
afresh and decides. Anything unforeseen is logged and tried again, slower and slower;
it never ends the worker.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from enum import Enum

from service.agent.act import act
from service.agent.backoff import Backoff
from service.agent.chosen import Chosen, choose
from service.agent.failure import chat_error
from service.agent.hold import Disturbed, Hold
from service.agent.means import Means
from service.agent.naming import start_naming
from service.agent.next_action import (
    Action,
    AwaitClient,
    Compact,
    Generate,
    GiveUp,
    Nothing,
    Rules,
    RunTools,
    next_action,
)
from service.agent.traced import TurnSpan
from service.domain.chat.state import ChatState
from service.errors import FutureEvent, Rejection, StreamPurged
from service.lease import LeaseLost
from service.providers.provider import ProviderError

logger = logging.getLogger(__name__)

WORK = Generate | RunTools | Compact
"""What a slot is for."""

LONG = WORK | AwaitClient
"""What is not begun any more by a worker that stops."""


class Outcome(Enum):
    """Why a runner left its chat."""

    RESTS = "rests"
    """The chat needs no worker."""
    WAITS = "waits"
    """The chat is still held, and there is nothing to do before `Hold.until`."""
    CROWDED = "crowded"
    """There is work to do, and this worker has no slot for it."""
    LOST = "lost"
    """Another worker has it, or may."""
    STOPPED = "stopped"
    """The worker stops, and the turn is not over."""
    NEWER = "newer"
    """A newer release wrote an event; one of its workers must go on."""
    SKIPPED = "skipped"
    """The chat was not to be had."""


async def run(hold: Hold, means: Means) -> Outcome:
    """Work on the chat until there is a reason to leave it."""
    with TurnSpan(means.tracing, hold) as turn:
        return await _run(hold, means, turn)


async def _run(hold: Hold, means: Means, turn: TurnSpan) -> Outcome:
    backoff, reread = Backoff(), False
    refused: tuple[int, str] | None = None
    while True:
        try:
            outcome = await _step(hold, means, turn, reread=reread)
            if outcome is not None:
                return outcome
            reread = False
            backoff.reset()
        except Disturbed:
            reread = True
        except Rejection as rejection:
            reread = True
            again, refused = refused, (hold.version, rejection.code)
            if again == refused:
                # the same again on the same state: this is no race that was lost
                await _fail(rejection, hold, backoff)
        except LeaseLost:
            return Outcome.LOST
        except FutureEvent:
            return Outcome.NEWER
        except StreamPurged:
            return Outcome.RESTS
        except Exception as error:
            reread = True
            await _fail(error, hold, backoff)


async def _step(
    hold: Hold, means: Means, turn: TurnSpan, *, reread: bool
) -> Outcome | None:
    state = (await hold.current(reread=reread)).state
    if not hold.holds(state):
        return Outcome.LOST
    action = next_action(state, Rules(stop_after=means.tools.stop_after))
    if (outcome := _not_now(action, hold)) is not None:
        return outcome
    begun_at = asyncio.get_running_loop().time()
    action, chosen = await _with_model(action, state, means)
    if isinstance(action, Generate):
        start_naming(state, hold, means)
    turn.at(state.turn_id)
    with means.tracing.span("step", action=type(action).__name__):
        await act(action, state, hold=hold, means=means, chosen=chosen)
    seconds = asyncio.get_running_loop().time() - begun_at
    logger.info("step done", extra=_told(action, chosen, seconds))
    return None


async def _with_model(
    action: Action, state: ChatState, means: Means
) -> tuple[Action, Chosen | None]:
    """The model that the action needs, and what to do when that one knows better."""
    if not isinstance(action, WORK):
        return action, None
    try:
        chosen = await choose(state, means.models)
    except ProviderError as error:
        # what was called is answered; what would be asked ends the turn
        if isinstance(action, RunTools):
            return action, None
        return GiveUp(chat_error(error, None)), None
    if isinstance(action, Generate):
        action = next_action(state, Rules(chosen.window, means.tools.stop_after))
    return action, chosen


def _told(action: Action, chosen: Chosen | None, seconds: float) -> dict[str, object]:
    told: dict[str, object] = {
        "action": type(action).__name__,
        "duration_ms": round(seconds * 1000),
    }
    if chosen is not None and isinstance(action, Generate | Compact):
        model = chosen.model if isinstance(action, Generate) else chosen.summariser
        told |= {"provider": model.ref.provider, "model": model.ref.model}
    return told


def _not_now(action: Action, hold: Hold) -> Outcome | None:
    """Why the action is not done here and now, if it is not."""
    if isinstance(action, Nothing):
        return Outcome.RESTS
    if hold.stopping and isinstance(action, LONG):
        return Outcome.STOPPED
    until = _not_before(action)
    if until is not None and until > hold.now():
        hold.until = until
        return Outcome.WAITS
    if isinstance(action, WORK) and not hold.admit():
        return Outcome.CROWDED
    return None


def _not_before(action: Action) -> datetime | None:
    match action:
        case Generate(not_before=until) | Compact(not_before=until):
            return until
        case AwaitClient(deadline=until):
            return until
        case _:
            return None


async def _fail(error: Exception, hold: Hold, backoff: Backoff) -> None:
    pause = backoff.next()
    logger.error(
        "a step failed; it is tried again",
        extra={"pause_s": round(pause, 3)},
        exc_info=error,
    )
    await hold.pause(pause)
