"""What a worker acts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from service.agent.background import Background
from service.agent.guards import Clock, LoopClock, Patience
from service.agent.retry import RetryPolicy
from service.agent.sources import Sources
from service.db.guard import Guard
from service.db.pool import Pool
from service.live.flush import Flusher
from service.metrics import ModelMetrics
from service.providers.models import Models
from service.tools.registry import Registry
from service.tracing import NOT_TRACING, Tracing

CLIENT_TIME = timedelta(minutes=5)
"""For a client to answer the calls of its tools; a person may have to be asked."""


async def _no_prompt(_: UUID) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Means:
    """The seams to the world, and how patient the worker is with it."""

    models: Models
    tools: Registry
    flusher: Flusher
    pool: Pool
    guard: Guard
    metrics: ModelMetrics
    sources: Sources = field(default_factory=lambda: Sources(user_prompt=_no_prompt))
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    client_time: timedelta = CLIENT_TIME
    patience: Patience = field(default_factory=Patience)
    clock: Clock = field(default_factory=LoopClock)
    background: Background = field(default_factory=Background)
    tracing: Tracing = NOT_TRACING
