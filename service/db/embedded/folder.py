"""The data folder: what lies where, whose turn it is, and the password.

    <data_dir>/service.lock   flock of the one service that uses the folder; its pid
    <data_dir>/password       of the login `parley`, 0600
    <data_dir>/start.log      what Postgres says before its own log is open
    <data_dir>/pgdata/        the cluster

The kernel drops the flock when its holder dies, however it dies. The socket's folder
lies elsewhere: a socket's path may have 107 bytes only, a data folder's may have more.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from service.db.embedded.account import Account
from service.errors import SetupError

ROOT_DATA_DIR = Path("/var/lib/parley")
"""Root's home is closed to the user that Postgres runs as; this folder is not."""

PASSWORD_BYTES = 32


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """The user's data folder, by the XDG rules; for root a folder under /var/lib."""
    if base := environ.get("XDG_DATA_HOME"):
        return Path(base) / "parley"
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    return Path.home() / ".local" / "share" / "parley"


class DataFolder:
    """One data folder, locked between `lock` and `unlock`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.cluster = self.path / "pgdata"
        self.start_log = self.path / "start.log"
        self._lock: TextIO | None = None

    @property
    def locked(self) -> bool:
        """Whether the folder is ours now."""
        return self._lock is not None

    def lock(self) -> None:
        """Make the folder if it is missing and take it.

        Raises SetupError when another service has it, or the disk says no.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = (self.path / "service.lock").open("a+")
        except OSError as error:
            raise SetupError(
                f"cannot use {self.path} as data folder: {error.strerror}; choose "
                "another one with --data-dir"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(self._taken(file)) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._lock = file

    def unlock(self) -> None:
        """Let the next service in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def password(self) -> str:
        """The generated password; made on the first call."""
        file = self.path / "password"
        if not file.exists():
            fresh = file.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            write_private(fresh, secrets.token_urlsafe(PASSWORD_BYTES))
            fresh.rename(file)
        return file.read_text().strip()

    def _taken(self, file: TextIO) -> str:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        return (
            f"another service (pid {holder}) uses the data folder {self.path}; stop "
            "it, or choose another folder with --data-dir"
        )


def runtime_base() -> Path:
    """Where our socket folders lie: short, and closed to other users.

    Not the login session's runtime folder: that one goes away at log-out, while a
    service started with nohup stays. Raises SetupError when somebody else has it.
    """
    uid = os.geteuid()
    base = _base()
    # root's holds folders of the server's user, who must get through
    make_folder(base, mode=0o711 if uid == 0 else 0o700)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise SetupError(f"{base} is not ours; remove it (or have it removed)")
    return base


def socket_folder(folder: DataFolder, account: Account) -> Path:
    """A 0700 folder of the server's user, always the same for one data folder."""
    path = runtime_base() / _name(folder)
    make_folder(path, mode=0o700)
    account.own(path)
    return path


def remove_socket_folder(folder: DataFolder) -> None:
    """Leave no empty folder behind; one that is in use stays."""
    with contextlib.suppress(OSError):
        (_base() / _name(folder)).rmdir()


def write_private(path: Path, text: str) -> None:
    """Create `path` with mode 0600; it must not exist."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def make_folder(path: Path, *, mode: int) -> None:
    """Make `path` with exactly this mode, whatever the umask; leave one that is there.

    Raises SetupError.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
        path.chmod(mode)
    except FileExistsError:
        return
    except OSError as error:
        raise SetupError(f"cannot make {path}: {error.strerror}") from error


def _base() -> Path:
    uid = os.geteuid()
    if uid == 0 and os.access("/run", os.W_OK):
        return Path("/run/parley")
    return Path(f"/tmp/parley-{uid}")  # noqa: S108 - checked to be ours


def _name(folder: DataFolder) -> str:
    return hashlib.sha256(os.fsencode(folder.path.resolve())).hexdigest()[:12]
