"""The line over a chat that `parley chat show` prints."""

from __future__ import annotations

import pytest

from service.cli.chat import _headline

CHAT = {
    "title": "a", "status": "waiting", "version": 7, "archived": False,
    "last_error": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, "'a', waiting, version 7"),
        ({"archived": True}, "'a', waiting, version 7, archived"),
        (
            {"status": "error", "last_error": {"message": "the model is away"}},
            "'a', error, version 7, the model is away",
        ),
    ],
    ids=["waiting", "archived", "failed"],
)
def test_it_says_how_the_chat_is(changed: dict[str, object], line: str) -> None:
    assert _headline({**CHAT, **changed}) == line
