"""The projections of this release; a new one is one more line here."""

from __future__ import annotations

from projections.chats import CHATS
from projections.messages import MESSAGES
from projections.projection import Projection
from projections.queue import QUEUE
from projections.runnable import RUNNABLE

PROJECTIONS: tuple[Projection, ...] = (CHATS, MESSAGES, QUEUE, RUNNABLE)
