"""What a new token may do, as `parley token create --scope` has it."""

from __future__ import annotations

import pytest

from service.cli.token import _scopes
from service.errors import SetupError


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        (None, ("chat",)),
        ([], ("chat",)),
        (["audit"], ("audit",)),
        (["audit", "chat", "audit"], ("chat", "audit")),
    ],
)
def test_scopes_are_those_asked_for(
    given: list[str] | None, scopes: tuple[str, ...]
) -> None:
    assert _scopes(given) == scopes


def test_an_unknown_scope_is_refused_by_name() -> None:
    with pytest.raises(SetupError, match=r"no scope 'admin'; expected one of chat, a"):
        _scopes(["chat", "admin"])
