"""PostgreSQL from the wheel: a first start, a second one, and everything between."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import pytest_asyncio

from service.db.embedded import cluster, server
from service.db.embedded.postmaster import PID_FILE, Postmaster, read_pid_file
from service.db.embedded.server import EmbeddedPostgres
from service.errors import SetupError
from tests.fixtures.servers import UNSAFE

WAIT_S = 30


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A data folder that does not exist yet; no server is left in it."""
    data_dir = tmp_path / "missing" / "data"
    yield data_dir
    left = Postmaster.find(data_dir / "pgdata")
    if left is not None:
        left.send(signal.SIGKILL)
        await left.exited()
        left.close()


def embedded(folder: Path, **options: object) -> EmbeddedPostgres:
    """A server that is quick to make; what it says is not looked at."""
    return EmbeddedPostgres(folder, **{"settings": UNSAFE, **options})  # type: ignore[arg-type]


async def fetch(dsn: str, statement: str) -> object:
    """The first column of the first row."""
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True
    ) as connection:
        found = await connection.execute(statement.encode())
        row = await found.fetchone() if found.description else None
    return row[0] if row else None


async def test_first_start_makes_folder_cluster_and_database(folder: Path) -> None:
    said: list[str] = []
    async with embedded(folder, say=said.append) as postgres:
        assert await fetch(postgres.dsn, "SELECT current_database()") == "parley"
        version = await fetch(postgres.dsn, "SHOW server_version")
        collation = await fetch(
            postgres.dsn,
            "SELECT format('%s %s %s', datlocprovider, datlocale,"
            " pg_encoding_to_char(encoding)) FROM pg_database"
            " WHERE datname = current_database()",
        )
    assert str(version).startswith("18.")
    assert collation == "b C.UTF-8 UTF8"
    assert said == [f"making a PostgreSQL cluster in {folder}"]


async def test_data_and_dsn_survive_a_restart(folder: Path) -> None:
    async with embedded(folder) as postgres:
        first = postgres.dsn
        await fetch(first, "CREATE TABLE kept AS SELECT 7 AS a")
    async with embedded(folder) as postgres:
        assert postgres.dsn == first
        assert await fetch(first, "SELECT a FROM kept") == 7


async def test_defaults_lose_nothing_and_listen_on_the_socket_only(
    folder: Path,
) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        shown = {
            name: await fetch(postgres.dsn, f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "listen_addresses")
        }
        most = await fetch(postgres.dsn, "SHOW max_connections")
    assert shown == {"fsync": "on", "synchronous_commit": "on", "listen_addresses": ""}
    assert most == "200"


async def test_only_the_password_opens_it(folder: Path) -> None:
    async with embedded(folder) as postgres:
        parts = urlsplit(postgres.dsn)
        sockets = Path(parse_qs(parts.query)["host"][0])
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
        assert parts.password is not None
        assert len(parts.password) > 40
        for wrong in (":wrong@", "@"):
            dsn = postgres.dsn.replace(f":{parts.password}@", wrong)
            with pytest.raises(psycopg.OperationalError, match="password"):
                await fetch(dsn, "SELECT 1")


async def test_terminal_signals_do_not_reach_it(folder: Path) -> None:
    async with embedded(folder) as postgres:
        assert postgres.pid is not None
        assert os.getsid(postgres.pid) != os.getsid(0)


async def test_socket_path_stays_short_in_a_deep_folder(folder: Path) -> None:
    deep = folder / ("d" * 120) / ("e" * 120)
    async with embedded(deep) as postgres:
        sockets = parse_qs(urlsplit(postgres.dsn).query)["host"][0]
        assert len(f"{sockets}/.s.PGSQL.5432") <= 107
        assert await fetch(postgres.dsn, "SELECT 1") == 1


async def test_second_service_is_refused_with_the_first_ones_pid(folder: Path) -> None:
    async with embedded(folder) as postgres:
        with pytest.raises(SetupError, match=rf"pid {os.getpid()}\b.*--data-dir"):
            await embedded(folder).start()
        assert await fetch(postgres.dsn, "SELECT 1") == 1


async def test_stop_is_complete_and_may_be_repeated(folder: Path) -> None:
    postgres = embedded(folder)
    await postgres.stop()
    await postgres.start()
    pid = postgres.pid
    assert pid is not None
    await postgres.stop()
    await postgres.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert read_pid_file(folder / "pgdata") is None
    assert postgres.pid is None
    sockets = parse_qs(urlsplit(postgres.dsn).query)["host"][0]
    assert not Path(sockets).exists()


async def test_other_major_version_is_refused_with_the_way_out(folder: Path) -> None:
    async with embedded(folder):
        pass
    (folder / "pgdata" / "PG_VERSION").write_text("17\n")
    with pytest.raises(SetupError, match=r"PostgreSQL 17.*brings 18.*pg_dump"):
        await embedded(folder).start()


async def test_folder_that_is_no_cluster_is_refused(folder: Path) -> None:
    (folder / "pgdata").mkdir(parents=True)
    with pytest.raises(SetupError, match="no PostgreSQL cluster"):
        await embedded(folder).start()


async def test_half_made_cluster_is_made_again(folder: Path) -> None:
    """What a start left behind that was killed while it made the cluster."""
    (folder / "pgdata.new").mkdir(parents=True)
    (folder / "pgdata.new" / "PG_VERSION").write_text("18\n")
    async with embedded(folder) as postgres:
        assert await fetch(postgres.dsn, "SELECT 1") == 1
    assert not (folder / "pgdata.new").exists()


async def test_pid_file_of_another_process_is_no_obstacle(folder: Path) -> None:
    """After a crash of the machine the number may belong to anybody."""
    async with embedded(folder):
        pid_file = (folder / "pgdata" / PID_FILE).read_text().splitlines()
    (folder / "pgdata" / PID_FILE).write_text(
        "\n".join([str(os.getpid()), *pid_file[1:]])
    )
    async with embedded(folder) as postgres:
        assert await fetch(postgres.dsn, "SELECT 1") == 1


async def test_file_in_the_way_is_told(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("")
    with pytest.raises(SetupError, match="as data folder: File exists; choose another"):
        await embedded(folder).start()
    with pytest.raises(SetupError, match="Not a directory"):
        await embedded(folder / "below").start()


async def test_start_that_fails_tells_postgres_reason(folder: Path) -> None:
    broken = embedded(folder, settings={"shared_buffers": "'nonsense'"})
    with pytest.raises(SetupError, match=r"did not start: .*parley\.conf"):
        await broken.start()
    async with embedded(folder) as postgres:
        assert await fetch(postgres.dsn, "SELECT 1") == 1


async def test_lost_password_file_is_told(folder: Path) -> None:
    async with embedded(folder):
        pass
    (folder / "password").write_text("another")
    with pytest.raises(SetupError, match="password the file it was made with"):
        await embedded(folder).start()
    assert read_pid_file(folder / "pgdata") is None


async def test_own_settings_by_alter_system_stay(folder: Path) -> None:
    async with embedded(folder) as postgres:
        await fetch(postgres.dsn, "ALTER SYSTEM SET work_mem = '7MB'")
    async with embedded(folder) as postgres:
        assert await fetch(postgres.dsn, "SHOW work_mem") == "7MB"


async def test_postmaster_that_dies_is_started_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "RESTART_FIRST_S", 0.01)
    again = asyncio.Event()

    def say(text: str) -> None:
        if "runs again" in text:
            again.set()

    async with embedded(folder, say=say) as postgres:
        await fetch(postgres.dsn, "CREATE TABLE kept AS SELECT 7 AS a")
        first = postgres.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await asyncio.wait_for(again.wait(), WAIT_S)
        assert postgres.pid not in (None, first)
        assert await fetch(postgres.dsn, "SELECT a FROM kept") == 7


async def test_recovery_is_waited_for_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SAY_EVERY_S", 0.0)
    slow = {**UNSAFE, "log_startup_progress_interval": "1ms"}
    said: list[str] = []
    async with embedded(folder, supervise=False) as postgres:
        await fetch(postgres.dsn, "CREATE TABLE kept (a int)")
        await fetch(postgres.dsn, "CHECKPOINT")
        await fetch(postgres.dsn, "INSERT INTO kept SELECT generate_series(1, 500000)")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
    async with embedded(folder, say=said.append, settings=slow) as postgres:
        assert await fetch(postgres.dsn, "SELECT count(*) FROM kept") == 500_000
    assert any("waiting for PostgreSQL" in line for line in said)
    assert any("redo" in line for line in said)


async def test_start_that_is_cancelled_leaves_no_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it starts, as often as a start has steps."""
    launched = asyncio.Event()
    postgres = embedded(folder)

    async def ready_never(_: Postmaster) -> bool:
        launched.set()
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(postgres, "_ready", ready_never)
    start = asyncio.create_task(postgres.start())
    await asyncio.wait_for(launched.wait(), WAIT_S)
    pid = postgres.pid
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not Path(f"/proc/{pid}").exists()
    async with embedded(folder) as started:
        assert await fetch(started.dsn, "SELECT 1") == 1


async def test_log_takes_a_bounded_place(folder: Path) -> None:
    log = folder / "pgdata" / cluster.LOG_FOLDER
    async with embedded(folder):
        pass
    for hour in range(30):
        (log / f"postgresql-20200101-{hour:06}.log").write_text("old\n")
    async with embedded(folder) as postgres:
        assert await fetch(postgres.dsn, "SELECT 1") == 1
    assert len(list(log.iterdir())) <= 12
