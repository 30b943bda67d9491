"""The operating-system user that Postgres runs as.

Postgres refuses to run as root. When we are root we take the owner of an existing
cluster, else a user of our own: one that other daemons share could be read by them.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import SetupError

NAME = "parley-postgres"

USERADD = ("useradd", "--system", "--user-group", "--no-create-home")
ADDUSER = ("adduser", "-S", "-D", "-H", "-s", "/bin/false")
"""BusyBox has no useradd."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs Postgres. `switch` is true when that is somebody else than we are."""

    uid: int
    gid: int
    switch: bool

    def popen_options(self) -> dict[str, Any]:
        """How subprocess becomes this user."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)


def choose(cluster: Path, *, locks: Path) -> Account:
    """The account for `cluster`, made when there is none; `locks` is a folder of ours.

    Raises SetupError when the cluster belongs to somebody else, or no user can be made.
    """
    uid = os.geteuid()
    owner = cluster.stat() if cluster.exists() else None
    if uid == 0:
        if owner is not None and owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid, switch=True)
        return _own_account(locks)
    if owner is not None and owner.st_uid != uid:
        raise SetupError(
            f"{cluster} belongs to user {owner.st_uid}, we are user {uid}; start the "
            "service as that user or as root, or choose another --data-dir"
        )
    return Account(uid, os.getegid(), switch=False)


def _own_account(locks: Path) -> Account:
    entry = _lookup()
    if entry is None:
        # two services may start at once, and useradd refuses to work in parallel
        with (locks / "account.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entry = _lookup() or _create()
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _lookup() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _create() -> pwd.struct_passwd:
    problem = "neither useradd nor adduser is installed"
    for command in (USERADD, ADDUSER):
        program = shutil.which(command[0])
        if program is None:
            continue
        done = subprocess.run(  # noqa: S603 - a constant command line
            [program, *command[1:], NAME], capture_output=True, text=True, check=False
        )
        if (entry := _lookup()) is not None:
            return entry
        problem = done.stderr.strip() or f"{command[0]} gave no user"
    raise SetupError(
        f"Postgres does not run as root, and a system user {NAME!r} cannot be made "
        f"({problem}); make that user, start as another user, or set "
        "PARLEY_DATABASE_URL"
    )
