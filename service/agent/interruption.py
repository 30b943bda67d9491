"""The end of an interrupted turn: what the cut-off attempt had said is kept.

Any worker can do it: what was said is in es.live_parts, also when its worker is dead.
"""

from __future__ import annotations

import asyncio
import logging

from service.agent.hold import Hold
from service.agent.means import Means
from service.agent.partial import partial
from service.domain.chat.state import ChatState
from service.domain.commands.chat import DraftMessage, FinishInterruption
from service.live.read import read_episode

logger = logging.getLogger(__name__)

DRAIN_S = 0.5
"""For the last parts of an interrupted answer: a person waits for it to stop. What is
not written then is not kept."""


async def end_interruption(state: ChatState, hold: Hold, means: Means) -> None:
    """Keep what was said, answer what was called, end the turn: one commit."""
    said: tuple[DraftMessage, ...] = ()
    # of a summary that was cut off nothing is kept
    if state.episode is not None and state.episode.kind != "compaction":
        await _drain(hold)
        async with means.pool.connection() as connection:
            episode = state.episode
            parts = await read_episode(
                connection, hold.chat_id, episode.epoch, episode.attempt
            )
        said = partial((part.data for part in parts), now=hold.now())
    command = FinishInterruption(**hold.fence(state.epoch), partial=said)
    await hold.commit(command)
    hold.say_through(None)


async def _drain(hold: Hold) -> None:
    """Let the table have the last parts, when it was this worker that was cut off."""
    if hold.writer is None:
        return
    try:
        async with asyncio.timeout(DRAIN_S):
            await hold.writer.drain()
    except TimeoutError:
        logger.warning("the last parts of an interrupted answer are not kept")
