"""Opening an attempt: in the log, and with it the episode that its live parts go to."""

from __future__ import annotations

from dataclasses import dataclass

from service.agent.assemble import LivePart
from service.agent.hold import Hold
from service.agent.means import Means
from service.domain.chat.state import ChatState
from service.domain.commands.chat import StartAttempt
from service.domain.events.chat import (
    AttemptKind,
    GenerationAttemptStarted,
    ModelRef,
)
from service.live.flush import PartWriter


@dataclass(frozen=True, slots=True)
class Attempt:
    """An open attempt and where it says its parts."""

    epoch: int
    number: int
    writer: PartWriter

    def show(self, part: LivePart) -> None:
        """Let followers see it; a result is said by the tool that it comes from."""
        role = "tool" if part["type"] == "tool-result" else "assistant"
        self.writer.write(part, role=role)


async def start(
    state: ChatState,
    hold: Hold,
    means: Means,
    *,
    kind: AttemptKind,
    asked: ModelRef | None = None,
) -> Attempt:
    """Commit that an attempt begins; nothing is asked of the world before."""
    command = StartAttempt(**hold.fence(state.epoch), kind=kind, asked=asked)
    handled = await hold.commit(command)
    for _, event in handled.events:
        if isinstance(event, GenerationAttemptStarted):
            writer = means.flusher.open(hold.chat_id, event.epoch, event.attempt)
            hold.say_through(writer)
            return Attempt(event.epoch, event.attempt, writer)
    raise RuntimeError(f"{command!r} started no attempt")
