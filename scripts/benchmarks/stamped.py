"""`parley` with a model that says what time it is: each token is its own birthday.

The scripted provider as it is, but the text of each delta is the reading of the
system's monotonic clock at which the provider gave it out; a client on the same machine
subtracts. Deltas that were joined on the way keep their readings.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import AsyncGenerator

from service.cli.main import main
from service.providers.provider import Delta, ModelRequest, TextDelta
from service.providers.scripted import Scripted

PROGRAM = (sys.executable, "-m", "scripts.benchmarks.stamped")
_READING = re.compile(r"@(\d+)")


_scripted = Scripted.stream


async def stamped(self: Scripted, request: ModelRequest) -> AsyncGenerator[Delta, None]:
    """The scripted deltas at their pace, each text replaced by a reading."""
    async for delta in _scripted(self, request):
        if isinstance(delta, TextDelta):
            yield TextDelta(f" @{time.monotonic_ns()}")
        else:
            yield delta


def readings(text: str) -> list[int]:
    """The nanoseconds at which the tokens in this text were given out."""
    return [int(number) for number in _READING.findall(text)]


if __name__ == "__main__":
    # wherever the service makes its scripted provider, it makes this one
    Scripted.stream = stamped  # type: ignore[method-assign]
    main()
