"""A cancellation that a driver swallowed, raised again.

`asyncio.wait_for` of Python 3.11 returns its result when that and a cancellation come
together, and the cancellation is gone; aiopg and psycopg_pool use it. A long task that
never hears of its cancellation would keep its process from stopping.
"""

from __future__ import annotations

import asyncio


def honour_cancellation() -> None:
    """Raise CancelledError when this task was cancelled and does not know it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
