"""The test kit in a project that only has Parley installed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psycopg

from service.testing.postgres import Server

PROJECT = Path(__file__).parents[1] / "sample_project"
RUN_S = 100.0


async def run(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run pytest in the project; its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly",
        "-p", "no:xdist", *arguments,
        cwd=PROJECT,
        env=dict(os.environ) | environ,  # noqa: TID251  PATH and HOME
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(RUN_S):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_its_tests_pass_on_an_embedded_database(tmp_path: Path) -> None:
    code, said = await run("-q", "--basetemp", str(tmp_path / "run"))
    assert code == 0, said
    assert "8 passed" in said


async def test_who_does_not_use_it_does_not_import_it() -> None:
    code, said = await run("-q", "tests/test_untouched.py")
    assert code == 0, said


async def test_its_fixtures_are_documented() -> None:
    code, said = await run("--fixtures", "tests/test_untouched.py")
    assert code == 0, said
    assert "A running Parley, with a user and a scripted model for this test" in said
    assert "A Parley on a database of this test alone" in said


async def test_its_types_are_known(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path),
        "small_talk.py",
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(RUN_S):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def test_a_wrong_choice_of_a_database_is_told() -> None:
    code, said = await run(
        "-q", "tests/test_small_talk.py", "-k", "an_answer", PARLEY_TEST_POSTGRES="x"
    )
    assert code == 1
    assert "PARLEY_TEST_POSTGRES is 'x'; expected embedded or testcontainers" in said


async def test_on_a_given_server_nothing_is_left_behind(server: Server) -> None:
    before = await _left_on(server)
    code, said = await run(
        "-q", "tests/test_small_talk.py", PARLEY_TEST_DATABASE_URL=server.dsn
    )
    assert code == 0, said
    assert await _left_on(server) == before


async def _left_on(server: Server) -> set[tuple[str]]:
    async with await psycopg.AsyncConnection.connect(server.dsn) as connection:
        cursor = await connection.execute(
            "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
        )
        return {*await cursor.fetchall()}
