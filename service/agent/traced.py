"""The span of the turn that a worker is at; another turn of the chat ends it."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from service.agent.hold import Hold
from service.tracing import Tracing


class TurnSpan:
    """Open while a chat is worked on, for one turn after the other."""

    def __init__(self, tracing: Tracing, hold: Hold) -> None:
        self._tracing = tracing
        self._hold = hold
        self._open = ExitStack()
        self._turn: tuple[int | None] | None = None

    def __enter__(self) -> TurnSpan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def at(self, turn_id: int | None) -> None:
        """What comes now is of this turn; None: of none, as a wish for a summary."""
        if self._turn == (turn_id,):
            return
        self._open.close()
        self._turn = (turn_id,)
        lease = self._hold.lease
        span = self._tracing.turn(
            self._hold.chat_id, turn_id, worker=lease.worker, term=lease.term
        )
        self._open.enter_context(span)
