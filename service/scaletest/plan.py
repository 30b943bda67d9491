"""What a scale test is to do."""

from __future__ import annotations

from dataclasses import dataclass

PROMPT = "Reply with one short sentence."


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """So many chats of so many turns, against one service, as one user."""

    url: str
    token: str
    chats: int = 100
    turns: int = 10
    prompt: str = PROMPT
    concurrency: int = 100
    """Requests in flight at a time; chats and their streams are not bounded."""
    rate: float | None = None
    """New chats a second; None: all of them at once."""
    turn_start_delay_s: float = 0.0
    """Between the end of the last first turn and the follow-ups."""
    timeout_s: float = 120.0
    """For one turn, and for read models to show a chat whole."""
    metrics_urls: tuple[str, ...] = ()
    """Where the service's processes tell their metrics; none: only that of `url`."""
    archive: bool = False
    """Archive the chats in the end."""
