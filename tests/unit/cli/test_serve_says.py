"""What serve prints when it runs; and where it prints nothing."""

from __future__ import annotations

import pytest

from service.app import Started
from service.cli.serve import teller
from service.settings import Settings

STARTED = Started(url="http://127.0.0.1:8000", token="parley_t", database_url="db")


@pytest.mark.parametrize(
    ("log_format", "as_json"),
    [("text", False), ("text", True), ("json", True)],
)
def test_the_token_is_shown_to_who_asks(
    log_format: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    teller(Settings(log_format=log_format), as_json=as_json)(STARTED)
    assert "parley_t" in capsys.readouterr().out


def test_nothing_is_printed_where_logs_are_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    teller(Settings(log_format="json"), as_json=False)(STARTED)
    assert capsys.readouterr() == ("", "")
