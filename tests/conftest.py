"""Fixtures by concern, and a marker for each ring: the folder a test lies in."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = (
    "tests.fixtures.environment",
    "tests.fixtures.servers",
    "tests.fixtures.databases",
    "tests.fixtures.golden",
    "tests.fixtures.stack",
)

collect_ignore = ["sample_project"]
"""A project of its own: tests/e2e/test_sample_project.py runs it."""

RINGS = ("unit", "property", "contract", "sql", "integration", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its ring."""
    here = Path(__file__).parent
    for item in items:
        ring = item.path.relative_to(here).parts[0]
        if ring in RINGS:
            item.add_marker(ring)
