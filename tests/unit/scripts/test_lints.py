"""The checks of scripts/: each finds what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import lint_files, lint_sizes, lint_transactions, setup_venv


def body(*lines: str) -> str:
    """A coroutine of these lines."""
    return "\n".join(["async def f(self, pool):", *(f"    {line}" for line in lines)])


@pytest.mark.parametrize(
    "wait",
    [
        "await self.appender.append(request)",
        "await self.chats.execute(chat_id, command)",
        "await http.post(url)",
        "row = await model.complete(prompt)",
        "rows = [await model.complete(x) for x in xs]",
        "async with pool.connection() as other: pass",
        "async with connect(database) as other: pass",
        "async for delta in model.stream(): pass",
        "await event.wait()",
    ],
)
@pytest.mark.parametrize("opener", ["connection", "transaction"])
def test_foreign_wait_while_a_connection_is_held_is_found(
    opener: str, wait: str
) -> None:
    source = body(f"async with pool.{opener}() as c:", f"    {wait}")
    (found,) = lint_transactions.problems(source)
    assert found.startswith("3: waits for ")


@pytest.mark.parametrize(
    "wait",
    [
        "await c.execute(QUERY)",
        "rows = await (await c.execute(QUERY)).fetchall()",
        "events = await store.read_stream(c, stream)",
        "events = await store.read_stream(stream, connection=c)",
        "async with c.cursor() as cursor: await cursor.execute(QUERY)",
        "async with asyncio.timeout(5): await c.execute(QUERY)",
    ],
)
def test_waits_for_the_held_connection_pass(wait: str) -> None:
    source = body("async with pool.connection() as c:", f"    {wait}")
    assert list(lint_transactions.problems(source)) == []


def test_cursor_of_the_held_connection_passes() -> None:
    source = body(
        "async with pool.connection() as c:",
        "    found = await c.execute(QUERY)",
        "    row = await found.fetchone()",
        "    async for row in found: pass",
    )
    assert list(lint_transactions.problems(source)) == []


def test_transaction_of_a_kept_connection_is_looked_into() -> None:
    source = body(
        "async with self._connection.transaction():",
        "    await self._connection.execute(QUERY)",
        "    await self._model.complete(prompt)",
    )
    (found,) = lint_transactions.problems(source)
    assert found.startswith("4: waits for 'self._model.complete(prompt)'")


def test_several_openers_in_one_with_are_looked_into() -> None:
    source = body(
        "async with pool.connection() as c, c.transaction():",
        "    await c.execute(QUERY)",
        "    await appender.append(request)",
    )
    (found,) = lint_transactions.problems(source)
    assert "appender.append" in found


def test_waits_after_the_connection_and_in_inner_functions_pass() -> None:
    source = body(
        "async with pool.connection() as c:",
        "    async def later(): await appender.append(request)",
        "await appender.append(request)",
    )
    assert list(lint_transactions.problems(source)) == []


def test_sizes_of_modules_and_functions_are_found() -> None:
    small = "a = 1\n"
    function = "def f():\n" + "    a = 1\n" * 60
    assert list(lint_sizes.problems(small * 300)) == []
    assert list(lint_sizes.problems(small * 301)) == [
        ("301 lines, 300 is wanted", False)
    ]
    assert list(lint_sizes.problems(small * 501)) == [
        ("501 lines, 500 is the most", True)
    ]
    assert list(lint_sizes.problems(function)) == [
        ("f has 61 lines, 60 is the most", True)
    ]


def test_sql_that_is_not_ascii_is_found(tmp_path: Path) -> None:
    (tmp_path / "good.sql").write_text("SELECT 1;\n")
    (tmp_path / "bad.sql").write_text("SELECT 1;\n-- a\N{EM DASH}b\n")
    assert list(lint_files.not_ascii(tmp_path)) == ["bad.sql:2: not ASCII"]


def test_script_that_cannot_be_run_is_found(tmp_path: Path) -> None:
    for folder in ("scripts", ".ci"):
        (tmp_path / folder).mkdir()
    (tmp_path / "scripts" / "good").write_text("#!/bin/sh\n")
    (tmp_path / "scripts" / "good").chmod(0o755)
    (tmp_path / "scripts" / "bad").write_text("#!/bin/sh\n")
    (tmp_path / "scripts" / "data.py").write_text("a = 1\n")
    (tmp_path / "scripts" / "data.py").chmod(0o755)
    found = list(lint_files.not_executable(tmp_path))
    assert found == ["bad: not executable", "data.py: executable"]


def test_set_up_is_current_by_its_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What test needs serves run too; a changed requirement, or a moved folder, not."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(setup_venv, "ROOT", tmp_path)
    monkeypatch.setattr(setup_venv, "VENV", tmp_path / ".venv")
    assert not setup_venv.is_current(dev=False)
    setup_venv.stamp(dev=False).write_text(setup_venv.wanted())
    assert setup_venv.is_current(dev=False)
    assert not setup_venv.is_current(dev=True)
    setup_venv.stamp(dev=True).write_text(setup_venv.wanted())
    setup_venv.stamp(dev=False).unlink()
    assert setup_venv.is_current(dev=False)
    (tmp_path / "constraints.txt").write_text("changed")
    assert not setup_venv.is_current(dev=True)
