"""What a worker acts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from service.agent.retry import RetryPolicy
from service.db.guard import Guard
from service.db.pool import Pool
from service.live.flush import Flusher
from service.providers.provider import Provider
from service.tools.registry import Registry

CLIENT_TIME = timedelta(minutes=5)
"""For a client to answer the calls of its tools; a person may have to be asked."""


@dataclass(frozen=True, slots=True)
class Means:
    """The seams to the world, and how patient the worker is with it."""

    provider: Provider
    tools: Registry
    flusher: Flusher
    pool: Pool
    guard: Guard
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    client_time: timedelta = CLIENT_TIME
