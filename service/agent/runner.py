"""Runs an acquired chat: read its state, do the next action, again, until it rests.

Commands that the log refuses are an expected way out: somebody else was faster, so the
state is read afresh and decides. Anything unforeseen is logged and tried again, slower
and slower; it never ends the worker.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum

from service.agent.act import Means, act
from service.agent.backoff import Backoff
from service.agent.hold import Disturbed, Hold
from service.agent.next_action import (
    AwaitClient,
    Compact,
    Generate,
    Nothing,
    RunTools,
    next_action,
)
from service.errors import FutureEvent, Rejection, StreamPurged
from service.lease import LeaseLost

logger = logging.getLogger(__name__)


LONG = Generate | RunTools | Compact | AwaitClient
"""What is not begun any more by a worker that stops."""


class Outcome(Enum):
    """Why a runner left its chat."""

    RESTS = "rests"
    """The chat needs no worker."""
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
    backoff, reread = Backoff(), False
    refused: tuple[int, str] | None = None
    while True:
        try:
            outcome = await _step(hold, means, reread=reread)
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


async def _step(hold: Hold, means: Means, *, reread: bool) -> Outcome | None:
    state = (await hold.current(reread=reread)).state
    if not hold.holds(state):
        return Outcome.LOST
    action = next_action(state)
    if isinstance(action, Nothing):
        return Outcome.RESTS
    if hold.stopping and isinstance(action, LONG):
        return Outcome.STOPPED
    begun_at = asyncio.get_running_loop().time()
    await act(action, state, hold=hold, means=means)
    seconds = asyncio.get_running_loop().time() - begun_at
    logger.info(
        "step done",
        extra={"action": type(action).__name__, "duration_ms": round(seconds * 1000)},
    )
    return None


async def _fail(error: Exception, hold: Hold, backoff: Backoff) -> None:
    pause = backoff.next()
    logger.error(
        "a step failed; it is tried again",
        extra={"pause_s": round(pause, 3)},
        exc_info=error,
    )
    await hold.pause(pause)
