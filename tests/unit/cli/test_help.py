"""What `--help` says, word for word: it is read more often than the README."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.fixtures.golden import Golden

COMMANDS = (
    (), ("serve",), ("migrate",), ("follow",), ("chat",), ("doctor",),
    ("chat", "list"), ("chat", "show"), ("chat", "fork"), ("chat", "archive"),
    ("chat", "cost"), ("cost",),
    ("scaletest",),
    ("token",), ("token", "create"), ("token", "list"), ("token", "revoke"),
    ("provider",), ("provider", "list"), ("provider", "add"), ("provider", "update"),
    ("provider", "remove"), ("provider", "rotate-keys"),
    ("model",), ("model", "list"), ("model", "add"), ("model", "update"),
    ("model", "remove"), ("model", "default"), ("model", "override"),
    ("prompt",), ("prompt", "show"), ("prompt", "set"),
    ("threshold",), ("threshold", "list"), ("threshold", "set"),
    ("threshold", "clear"),
    ("events",), ("events", "tail"), ("events", "show"), ("events", "diff"),
    ("events", "verify"), ("events", "digest"), ("events", "export"),
    ("projections",), ("projections", "lag"), ("projections", "rebuild"),
    ("projections", "build"), ("projections", "diff"), ("projections", "swap"),
    ("projections", "retry"), ("projections", "skip"), ("projections", "drop"),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: "-".join(c) or "parley")
def test_help(command: tuple[str, ...], golden: Golden) -> None:
    runner = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"})
    result = runner.invoke(app, [*command, "--help"], prog_name="parley")
    assert result.exit_code == 0
    name = "-".join(("parley", *command))
    golden(f"help/{name}.txt", result.output)


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "x"],
        ["serve", "--nothing"],
        ["follow", "not-a-uuid"],
        ["token", "create", "--days", "0"],
        ["token", "revoke", "x"],
        ["events", "diff", "x", "1"],
        ["chat", "show", "x"],
        ["chat", "--url", "http://x", "list"],
        ["scaletest", "--chats", "0"],
        ["events", "verify", "--first", "0"],
        ["provider", "add", "other"],
        ["provider", "add", "openai", "--api-key", "sk-1"],
        ["model", "add", "p", "m"],
        ["model", "add", "p", "m", "--context-limit", "0"],
        ["model", "add", "p", "m", "--context-limit", "1", "--price-input", "-1"],
        ["model", "add", "p", "m", "--context-limit", "1", "--price-input", "NaN"],
        ["model", "update", "m", "--reasoning-effort", "huge"],
        ["model", "update", "m", "--temperature", "3"],
        ["model", "override", "explore", "m"],
        ["threshold", "set", "m", "101"],
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
