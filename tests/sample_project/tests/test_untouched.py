"""Tests that ask for nothing of Parley: they do not pay for it either."""

from __future__ import annotations

import subprocess
import sys

RUN = """
import sys, pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]])
print(*(name for name in sys.modules if name.partition(".")[0] == "service"))
sys.exit(code)
"""


def test_that_uses_nothing() -> None:
    """What the run within the next test runs."""


def test_the_plugin_imports_nothing_before_it_is_asked() -> None:
    """In a run of its own: other tests of this one do ask."""
    run = subprocess.run(
        [sys.executable, "-c", RUN, f"{__file__}::test_that_uses_nothing"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout
    imported = set(run.stdout.splitlines()[-1].split())
    assert imported == {"service", "service.testing", "service.testing.plugin"}
