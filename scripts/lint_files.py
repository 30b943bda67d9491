"""Files: SQL is ASCII (yoyo reads it in the locale's encoding), scripts can be run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    found = [*not_ascii(ROOT / "sql"), *not_executable(ROOT)]
    print("\n".join(found))
    return int(bool(found))


def not_ascii(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.sql")):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            if not line.isascii():
                yield f"{path.name}:{number}: not ASCII"


def not_executable(root: Path) -> Iterator[str]:
    """Files that begin with #! must be executable, and the other way round."""
    for path in sorted([*(root / "scripts").iterdir(), *(root / ".ci").iterdir()]):
        if not path.is_file():
            continue
        program = path.read_bytes().startswith(b"#!")
        if program != bool(path.stat().st_mode & 0o100):
            yield f"{path.name}: {'not executable' if program else 'executable'}"


if __name__ == "__main__":
    sys.exit(main())
