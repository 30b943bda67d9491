"""Makes the virtual environment; runs on a bare Python, before anything is installed.

A stamp in .venv holds what was installed and for which folder (its programs name their
interpreter by path). `run` needs less than `--dev`, so either stamp satisfies it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"

QUIET_PIP = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def main() -> int:
    dev = "--dev" in sys.argv[1:]
    # two scripts may be started at once in a fresh clone
    with (ROOT / "constraints.txt").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_current(dev=dev):
            return 0
        print("setting up .venv; a fresh one takes about a minute", file=sys.stderr)
        try:
            make_venv()
            install(dev=dev)
        except subprocess.CalledProcessError as error:
            print(f"set-up failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
            return 1
        stamp(dev=dev).write_text(wanted())
    return 0


def wanted() -> str:
    """What a stamp must say: this folder, these requirements."""
    digest = hashlib.sha256(os.fsencode(ROOT))
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def stamp(*, dev: bool) -> Path:
    return VENV / ("installed-dev" if dev else "installed-run")


def is_current(*, dev: bool) -> bool:
    stamps = [stamp(dev=True)] if dev else [stamp(dev=True), stamp(dev=False)]
    return any(path.exists() and path.read_text() == wanted() for path in stamps)


def make_venv() -> None:
    """A new one where there is none that runs: its Python may be gone, or moved."""
    here = VENV / "folder"
    moved = here.exists() and here.read_text() != str(ROOT)
    if not moved and runs(VENV / "bin" / "python"):
        here.write_text(str(ROOT))
        return
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    except subprocess.CalledProcessError:
        print(
            "this Python cannot make virtual environments; on Debian and Ubuntu the "
            "package python3-venv is missing",
            file=sys.stderr,
        )
        raise
    here.write_text(str(ROOT))


def runs(python: Path) -> bool:
    try:
        return (
            subprocess.run([python, "-m", "pip", "-V"], capture_output=True).returncode
            == 0
        )
    except OSError:
        return False


def install(*, dev: bool) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        if dev:
            groups = tomllib.loads((ROOT / "pyproject.toml").read_text())
            requirements.write("\n".join(groups["dependency-groups"]["dev"]))
            requirements.flush()
        pip = [VENV / "bin" / "python", "-m", "pip", "install", "-q"]
        what = ["-c", "constraints.txt", "-e", ".", "-r", requirements.name]
        env = {**os.environ, **QUIET_PIP}  # noqa: TID251 - pip needs the user's settings
        subprocess.run([*pip, *what], cwd=ROOT, check=True, env=env)


if __name__ == "__main__":
    sys.exit(main())
