"""Fixtures of the worker's tests."""

from __future__ import annotations

import pytest_asyncio

from tests.fixtures.stack import Stack
from tests.integration.agent.crew import Watch


@pytest_asyncio.fixture
async def watch(stack: Stack) -> Watch:
    """Waits for states on the test's stack."""
    return Watch(stack)
