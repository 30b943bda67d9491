"""The embedded server's files: where they lie, and what is read from them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from service.db.embedded import cluster, folder, logs
from service.db.embedded.account import Account
from service.db.embedded.binaries import CLEAN_ENVIRONMENT, Programs
from service.db.embedded.folder import (
    DataFolder,
    default_data_dir,
    remove_socket_folder,
    socket_folder,
)
from service.db.embedded.postmaster import PidFile, Postmaster, read_pid_file
from service.errors import SetupError

OURSELVES = Account(os.geteuid(), os.getegid(), switch=False)
SOMEBODY = Account(12345, 12345, switch=True)


def test_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_data_dir({}) == Path("/home/ada/.local/share/parley")
    assert default_data_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/parley")
    assert default_data_dir({"XDG_DATA_HOME": ""}) == default_data_dir({})


def test_default_folder_of_root_is_not_its_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir({}) == Path("/var/lib/parley")


def test_home_and_relative_paths_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert DataFolder(Path("~/data")).path == tmp_path / "data"
    assert DataFolder(Path("data")).path == tmp_path / "data"


def test_password_is_made_once_and_private(tmp_path: Path) -> None:
    first = DataFolder(tmp_path).password()
    assert DataFolder(tmp_path).password() == first
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    assert len(first) >= 43


def test_lock_is_one_services_until_it_lets_go(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.lock()
    with pytest.raises(SetupError, match=rf"pid {os.getpid()}\b"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_socket_folder_is_private_short_and_the_same_for_a_folder(
    tmp_path: Path,
) -> None:
    one = socket_folder(DataFolder(tmp_path / "one"), OURSELVES)
    assert socket_folder(DataFolder(tmp_path / "one"), OURSELVES) == one
    assert socket_folder(DataFolder(tmp_path / "two"), OURSELVES) != one
    assert stat.S_IMODE(one.stat().st_mode) == 0o700
    assert len(os.fsencode(one)) < 50
    for name in ("one", "two"):
        remove_socket_folder(DataFolder(tmp_path / name))
    assert not one.exists()


def test_socket_folder_that_somebody_else_laid_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In /tmp anybody may make a link of that name."""
    laid = tmp_path / "laid"
    laid.symlink_to(tmp_path)
    monkeypatch.setattr(folder, "_base", lambda: laid)
    with pytest.raises(SetupError, match="is not ours"):
        socket_folder(DataFolder(tmp_path / "data"), OURSELVES)


def test_server_of_another_user_is_started_inside_its_folder() -> None:
    """Its path may lead through folders that this user may not enter."""
    where = Path("/closed/pgdata")
    programs = Path("/programs")
    assert cluster.data_option(where, Programs(programs, OURSELVES)) == str(where)
    assert cluster.data_option(where, Programs(programs, SOMEBODY)) == "/proc/self/cwd"


def test_account_that_is_switched_to_drops_all_groups() -> None:
    assert OURSELVES.popen_options() == {}
    assert SOMEBODY.popen_options() == {
        "user": 12345,
        "group": 12345,
        "extra_groups": [],
    }


def test_programs_see_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    done = Programs(Path("/usr/bin"), OURSELVES).run("env", cwd=tmp_path)
    assert set(done.stdout.splitlines()) == {
        f"{name}={value}" for name, value in CLEAN_ENVIRONMENT.items()
    }


def test_pid_file_is_read(tmp_path: Path) -> None:
    lines = ["41", "/proc/self/cwd", "1795553314", "5432", "/run/x", "", " 1 4"]
    file = tmp_path / "postmaster.pid"
    assert read_pid_file(tmp_path) is None
    file.write_text("41\n")
    assert read_pid_file(tmp_path) is None
    file.write_text("\n".join(lines))
    assert read_pid_file(tmp_path) == PidFile(41, 5432, "/run/x", "")
    file.write_text("\n".join([*lines, "ready   ", ""]))
    assert read_pid_file(tmp_path) == PidFile(41, 5432, "/run/x", "ready")


def test_pid_file_of_no_postmaster_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n\n\n5432\n/run/x\n\n\nready\n")
    assert Postmaster.find(tmp_path) is None
    assert not file.exists()


def test_old_log_files_go(tmp_path: Path) -> None:
    log = tmp_path / cluster.LOG_FOLDER
    log.mkdir()
    for day in range(10, 30):
        (log / f"postgresql-202611{day}-000000.log").touch()
    (log / "notes.txt").touch()
    logs.prune(tmp_path)
    left = sorted(path.name for path in log.iterdir())
    assert left == [
        "notes.txt",
        *(f"postgresql-202611{day}-000000.log" for day in range(20, 30)),
    ]
    assert logs.newest(tmp_path) == log / "postgresql-20261129-000000.log"


def test_progress_is_the_newest_line_about_it(tmp_path: Path) -> None:
    log = tmp_path / cluster.LOG_FOLDER
    log.mkdir()
    assert logs.recovery_progress(tmp_path) is None
    said = (
        "2026-11-24 20:48:34 UTC [7] LOG:  redo starts at 0/16EFCA0\n"
        "2026-11-24 20:48:37 UTC [7] LOG:  redo in progress, elapsed time: 3.00 s, "
        "current LSN: 0/4A21F98\n"
        "2026-11-24 20:48:37 UTC [8] FATAL:  the database system is starting up\n"
    )
    (log / "postgresql-20261124-204834.log").write_text(said)
    assert logs.recovery_progress(tmp_path) == (
        "redo in progress, elapsed time: 3.00 s, current LSN: 0/4A21F98"
    )


def test_tail_of_a_large_file_is_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.log"
    path.write_text("line\n" * 100_000 + "\N{SNOWMAN} the last\n")
    assert logs.tail(path)[-1] == "\N{SNOWMAN} the last"
    assert len(logs.tail(path)) < 1000
    assert logs.tail(tmp_path / "missing") == []
