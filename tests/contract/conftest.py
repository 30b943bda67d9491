"""A line to each wire format's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from tests.fixtures.lines import Line, line
from tests.fixtures.wires import SERVERS, Wire


@pytest.fixture(params=list(SERVERS))
def wire(request: pytest.FixtureRequest) -> Wire:
    return cast(Wire, request.param)


@pytest_asyncio.fixture
async def opened(wire: Wire) -> AsyncIterator[Line]:
    async with line(wire) as it:
        yield it
