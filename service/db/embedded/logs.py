"""The server's own log files: how many are kept, and what they say of a start."""

from __future__ import annotations

from pathlib import Path

from service.db.embedded.cluster import LOG_FOLDER

KEEP = 10
"""Files of 10 MB each: Postgres begins new ones and never removes an old one."""

TAIL_BYTES = 4096
"""The newest lines are all that a start looks at."""

PROGRESS_WORDS = ("elapsed time:", "redo starts at", "redo done at")


def prune(cluster: Path) -> None:
    """Remove all but the newest log files. Names sort by time."""
    for old in _files(cluster)[:-KEEP]:
        old.unlink(missing_ok=True)


def newest(cluster: Path) -> Path | None:
    """The log file that Postgres writes now, or wrote last."""
    files = _files(cluster)
    return files[-1] if files else None


def recovery_progress(cluster: Path) -> str | None:
    """The newest line in which Postgres tells how far a recovery is."""
    log = newest(cluster)
    if log is None:
        return None
    for line in reversed(tail(log)):
        if any(words in line for words in PROGRESS_WORDS):
            return line.partition("LOG:")[2].strip() or line
    return None


def tail(path: Path) -> list[str]:
    """The last whole lines of `path`; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def _files(cluster: Path) -> list[Path]:
    return sorted((cluster / LOG_FOLDER).glob("postgresql-*.log"))
