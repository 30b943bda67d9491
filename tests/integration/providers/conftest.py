"""A line to each vendor's server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fixtures.lines import Line, line
from tests.fixtures.wires import SERVERS


@pytest_asyncio.fixture
async def anthropic() -> AsyncIterator[Line]:
    async with line("anthropic") as opened:
        yield opened


@pytest_asyncio.fixture
async def openai() -> AsyncIterator[Line]:
    async with line("openai") as opened:
        yield opened


@pytest_asyncio.fixture
async def responses() -> AsyncIterator[Line]:
    async with line("responses") as opened:
        yield opened


@pytest_asyncio.fixture(params=list(SERVERS))
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """The same for each vendor."""
    async with line(request.param) as opened:
        yield opened
