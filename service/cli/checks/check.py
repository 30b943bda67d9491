"""What a check found, and what is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from service.db.pool import Connection
from service.db.source import Databases
from service.settings import Settings

State = Literal["ok", "warn", "fail"]
"""A failure keeps Parley from working; a warning will, or may, one day."""


class Check(NamedTuple):
    """What a check found; `remedy` says what to do about it."""

    name: str
    state: State
    told: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at."""

    settings: Settings
    databases: Databases
    connection: Connection
    now: Callable[[], datetime]

    def role(self, name: str) -> str:
        """A role's full name."""
        return self.databases.main.role(name)
