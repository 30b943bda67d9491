"""The cluster's files: made whole or not at all, checked, configured.

As root the programs are started inside the folder and told `-D /proc/self/cwd`: the
folder may lie below one that the server's user may not enter (a home, a private
temporary folder), and a process needs no right to stay where it was started.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from service.db.embedded.binaries import Programs, major
from service.db.embedded.folder import DataFolder, write_private
from service.errors import SetupError

LOGIN = "parley"
"""Superuser of this private cluster, and the name of its database."""

CONF = "parley.conf"

LOG_FOLDER = "log"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",  # the socket is all there is
    "max_connections": "200",  # a pool of 10 and some per role, many replicas
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",  # fewer forced checkpoints in a burst of appends
    "fsync": "on",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",  # disks that seek are the exception
    "jit": "off",  # our statements are short; compiling them costs more
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "logging_collector": "on",
    "log_directory": f"'{LOG_FOLDER}'",
    "log_filename": "'postgresql-%Y%m%d-%H%M%S.log'",
    "log_rotation_size": "10MB",  # times logs.KEEP is all that the log may take
    "log_rotation_age": "1d",
    "log_error_verbosity": "terse",  # DETAIL repeats what users wrote
    "log_startup_progress_interval": "3s",
}


def prepare(
    folder: DataFolder,
    programs: Programs,
    *,
    scratch: Path,
    settings: Mapping[str, str],
) -> None:
    """Make the cluster if there is none, and write its configuration.

    `scratch` is a private folder that the server's user can reach; `settings` go over
    SETTINGS. Raises SetupError for a cluster of another major version.
    """
    if folder.cluster.exists():
        _check_major(folder.cluster, major(programs))
    else:
        _create(folder, programs, scratch, sync=settings.get("fsync") != "off")
    lines = [f"{name} = {value}\n" for name, value in {**SETTINGS, **settings}.items()]
    # renamed into place: as root we write through nothing that Postgres may have laid
    conf = folder.path / CONF
    conf.write_text("".join(["# written anew at every start\n", *lines]))
    programs.account.own(conf)
    conf.rename(folder.cluster / CONF)


def data_option(cluster: Path, programs: Programs) -> str:
    """What to give as -D, for a program started inside `cluster`."""
    return "/proc/self/cwd" if programs.account.switch else str(cluster)


def _check_major(cluster: Path, ours: str) -> None:
    try:
        theirs = (cluster / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise SetupError(
            f"{cluster} is no PostgreSQL cluster ({error.strerror}: PG_VERSION); "
            "choose another folder with --data-dir"
        ) from error
    if theirs != ours:
        raise SetupError(
            f"{cluster} holds a cluster of PostgreSQL {theirs}, and this release "
            f"brings {ours}; dump it with pg_dump from the release that made it, move "
            f"the folder away, start once and load the dump, or use pg_upgrade"
        )


def _create(
    folder: DataFolder, programs: Programs, scratch: Path, *, sync: bool
) -> None:
    """initdb in a folder beside, renamed when it is whole."""
    fresh = folder.cluster.with_name("pgdata.new")
    if fresh.exists():
        shutil.rmtree(fresh)  # a start that was killed half-way
    fresh.mkdir(mode=0o700)
    programs.account.own(fresh)
    secret = scratch / "initial-password"
    secret.unlink(missing_ok=True)
    write_private(secret, folder.password())
    programs.account.own(secret)
    try:
        done = programs.run(
            "initdb",
            f"--pgdata={data_option(fresh, programs)}",
            f"--username={LOGIN}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            *(() if sync else ("--no-sync",)),
            cwd=fresh,
        )
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise SetupError(_initdb_failed(fresh, done))
    with (fresh / "postgresql.conf").open("a") as conf:
        conf.write(f"\ninclude = '{CONF}'\n")
    fresh.rename(folder.cluster)


def _initdb_failed(fresh: Path, done: subprocess.CompletedProcess[str]) -> str:
    said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
    return f"initdb could not make a cluster in {fresh}: {said[-500:]}"
