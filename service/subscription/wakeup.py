"""A wake-up that is never lost between two waits.

A wake-up is a hint: its owner reads after its position and finds what there is.
"""

from __future__ import annotations

import asyncio


class Wakeup:
    """Rung by anybody, waited for by one owner; rings while it works are kept."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the owner, now or at its next wait."""
        self._rung.set()

    async def wait(self, timeout: float) -> bool:
        """Wait for a ring, at most `timeout` seconds; False is the poll tick."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        except TimeoutError:
            return False
        finally:
            self._rung.clear()
        return True
