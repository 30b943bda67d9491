"""How to reach the server of a data folder, ours or another process's."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from service.db.embedded import cluster
from service.db.embedded.folder import DataFolder
from service.db.embedded.postmaster import PidFile, read_pid_file


def running_dsn(data_dir: Path) -> str | None:
    """Where to reach it, without taking the folder; None when none is ready there."""
    folder = DataFolder(data_dir)
    written = read_pid_file(folder.cluster) if folder.cluster.exists() else None
    if written is None or written.status != "ready":
        return None
    return dsn(folder, written)


def dsn(folder: DataFolder, written: PidFile) -> str:
    """For libpq and everything built on it: psycopg, psql, pg_dump."""
    return (
        f"postgresql://{cluster.LOGIN}:{quote(folder.password())}@/{cluster.LOGIN}"
        f"?host={quote(written.socket_folder, safe='/')}&port={written.port}"
    )
