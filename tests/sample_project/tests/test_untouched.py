"""A test that asks for nothing of Parley: it does not pay for it either."""

from __future__ import annotations

import sys


def test_the_plugin_imports_nothing_before_it_is_asked() -> None:
    ours = {name for name in sys.modules if name.partition(".")[0] == "service"}
    assert ours <= {"service", "service.testing", "service.testing.plugin"}
