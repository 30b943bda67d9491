"""Runs every check, two at a time, and tells what each took and what it found."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

CHECKS = {
    "mypy": [BIN / "mypy"],
    "lint-imports": [BIN / "lint-imports", "--no-cache"],
    "ruff format": [BIN / "ruff", "format", "--check", "--quiet"],
    "ruff": [BIN / "ruff", "check", "--quiet"],
    "sizes": [sys.executable, "scripts/lint_sizes.py"],
    "transactions": [sys.executable, "scripts/lint_transactions.py"],
    "files": [sys.executable, "scripts/lint_files.py"],
}
"""The longest first, so that the others run beside it."""


def main() -> int:
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(run, CHECKS))
    return max(codes)


def run(name: str) -> int:
    began = time.monotonic()
    done = subprocess.run(
        CHECKS[name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    verdict = "ok" if done.returncode == 0 else "FAILED"
    # a check that passes may still have something to say
    said = done.stdout if done.returncode or name == "sizes" else ""
    print(f"{verdict:7}{name} ({took:.1f} s)\n{said}", end="", flush=True)
    return min(done.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
