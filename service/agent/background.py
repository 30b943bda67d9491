"""What a worker does about its chats besides their turns: it outlives them, not it."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

logger = logging.getLogger(__name__)


class Background:
    """Tasks of one worker, at most one a chat."""

    def __init__(self) -> None:
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    def __contains__(self, chat_id: UUID) -> bool:
        return chat_id in self._tasks

    def keep(self, chat_id: UUID, task: asyncio.Task[None]) -> None:
        """Hold the task until it ends; its fault is told in the log."""
        self._tasks[chat_id] = task
        task.add_done_callback(lambda done: self._ended(chat_id, done))

    async def close(self) -> None:
        """End all that still run."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, chat_id: UUID, task: asyncio.Task[None]) -> None:
        if self._tasks.get(chat_id) is task:
            del self._tasks[chat_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            extra = {"chat_id": str(chat_id), "task": task.get_name()}
            logger.error("a task beside a turn failed", extra=extra, exc_info=error)
