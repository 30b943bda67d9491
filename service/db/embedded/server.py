"""The embedded server from start to stop.

Start: lock the folder, make the cluster if it is missing, adopt the postmaster of a
service that was killed or start one, wait as long as its recovery takes, see that the
database is there. A postmaster that dies while we run is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from service.db.embedded import account, binaries, cluster, logs, running
from service.db.embedded.binaries import Programs
from service.db.embedded.folder import (
    DataFolder,
    remove_socket_folder,
    runtime_base,
    socket_folder,
)
from service.db.embedded.postmaster import Postmaster, read_pid_file
from service.errors import SetupError

logger = logging.getLogger(__name__)

POLL_S = 0.05
"""How often a start looks at the pid file; a start takes some 0.2 s."""

SAY_EVERY_S = 5.0
"""A recovery may take minutes; somebody looks at the screen."""

FAST_STOP_S = 60.0
"""A fast stop ends with a checkpoint; a disk slower than this is left to recovery."""

OLD_BACKENDS_S = 30.0
"""After a kill -9 of the postmaster its backends take a moment to notice."""

RESTART_FIRST_S, RESTART_MOST_S = 1.0, 30.0
PRUNE_EVERY_S = 60.0

OLD_BACKENDS = "pre-existing shared memory block"


def _silent(_: str) -> None:
    pass


class EmbeddedPostgres:
    """PostgreSQL in a data folder of its own; one service at a time.

    `say` gets progress for people. `settings` go over the configuration. Without
    `supervise` a postmaster that dies stays dead: for tests that kill it themselves.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        say: Callable[[str], None] = _silent,
        settings: Mapping[str, str] | None = None,
        supervise: bool = True,
    ) -> None:
        self._folder = DataFolder(data_dir)
        self._say = say
        self._settings = dict(settings or {})
        self._supervise = supervise
        self._programs: Programs | None = None
        self._postmaster: Postmaster | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._dsn = ""

    async def __aenter__(self) -> EmbeddedPostgres:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def dsn(self) -> str:
        """For libpq and everything built on it: psycopg, psql, pg_dump."""
        return self._dsn

    @property
    def pid(self) -> int | None:
        """The postmaster's process, while it is ours."""
        return self._postmaster.pid if self._postmaster else None

    async def start(self) -> str:
        """Start or adopt the server, give its DSN. Raises SetupError."""
        self._folder.lock()
        try:
            await asyncio.to_thread(self._prepare)
            await self._run()
            await self._ensure_database()
        except BaseException:
            await self.stop()
            raise
        if self._supervise:
            self._supervisor = asyncio.create_task(
                self._keep_running(), name="embedded-postgres"
            )
        return self._dsn

    async def stop(self) -> None:
        """Stop the server and free the folder. Does nothing without a start."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        if self._postmaster is not None:
            await self._stop_postmaster(self._postmaster)
            self._forget(self._postmaster)
        if self._folder.locked:
            remove_socket_folder(self._folder)
            self._folder.unlock()

    def _prepare(self) -> None:
        """All that must be on disk before a start. Blocks for about a second."""
        base = runtime_base()
        who = account.choose(self._folder.cluster, locks=base)
        self._programs = binaries.locate(who)
        if not self._folder.cluster.exists():
            self._say(f"making a PostgreSQL cluster in {self._folder.path}")
        try:
            cluster.prepare(
                self._folder,
                self._programs,
                scratch=socket_folder(self._folder, who),
                settings=self._settings,
            )
        except OSError as error:
            raise SetupError(
                f"cannot write to {error.filename}: {error.strerror}; free or repair "
                "the disk, or choose another folder with --data-dir"
            ) from error

    async def _run(self) -> None:
        """See to a postmaster that is ready: the orphan in the folder, or a new one."""
        self._postmaster = Postmaster.find(self._folder.cluster)
        if self._postmaster is not None and await self._ready(self._postmaster):
            self._say(f"adopted the running PostgreSQL (pid {self._postmaster.pid})")
            return
        deadline = asyncio.get_running_loop().time() + OLD_BACKENDS_S
        while True:
            self._postmaster = self._launch()
            if await self._ready(self._postmaster):
                return
            said = logs.tail(self._folder.start_log)
            late = asyncio.get_running_loop().time() > deadline
            if late or not any(OLD_BACKENDS in line for line in said):
                raise SetupError(self._failed(said))
            await asyncio.sleep(POLL_S)

    def _launch(self) -> Postmaster:
        programs = self._ready_programs()
        where = self._folder.cluster
        pid = programs.start(
            "postgres",
            "-D",
            cluster.data_option(where, programs),
            "-k",
            str(socket_folder(self._folder, programs.account)),
            cwd=where,
            log=self._folder.start_log,
        )
        return Postmaster(pid)

    async def _ready(self, postmaster: Postmaster) -> bool:
        """Wait until it takes connections, however long its recovery takes.

        False when it ended first; then we have none.
        """
        loop = asyncio.get_running_loop()
        began = said = loop.time()
        while postmaster.alive():
            written = read_pid_file(self._folder.cluster)
            if written and written.pid == postmaster.pid and written.status == "ready":
                self._dsn = running.dsn(self._folder, written)
                return True
            if loop.time() - said >= SAY_EVERY_S:
                said = loop.time()
                self._say(self._progress(said - began))
            await asyncio.sleep(POLL_S)
        self._forget(postmaster)
        return False

    def _progress(self, waited_s: float) -> str:
        doing = logs.recovery_progress(self._folder.cluster) or "starting"
        return f"waiting for PostgreSQL ({waited_s:.0f} s): {doing}"

    def _failed(self, said: list[str]) -> str:
        # once its log is open, the reason of an early end stands there
        log = logs.newest(self._folder.cluster)
        lines = said if log is None else [*said, *logs.tail(log)]
        why = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (
            f"PostgreSQL in {self._folder.cluster} did not start: "
            f"{(why or lines or ['no output'])[-1]}; see {self._folder.start_log} "
            f"and {self._folder.cluster / cluster.LOG_FOLDER}"
        )

    async def _ensure_database(self) -> None:
        try:
            async with await psycopg.AsyncConnection.connect(
                self._dsn, dbname="postgres", autocommit=True
            ) as connection:
                found = await connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (cluster.LOGIN,)
                )
                if await found.fetchone() is None:
                    await connection.execute(f"CREATE DATABASE {cluster.LOGIN}")
        except psycopg.OperationalError as error:
            raise SetupError(
                f"cannot log in to PostgreSQL in {self._folder.cluster}: {error}; is "
                f"{self._folder.path / 'password'} the file it was made with?"
            ) from error

    async def _keep_running(self) -> None:
        """Start the postmaster again whenever it ends; keep the log small."""
        pause = RESTART_FIRST_S
        while True:
            await self._until_exited()
            logger.error("the embedded postgres ended; it is started again")
            await asyncio.sleep(pause)
            try:
                await self._run()
            except (SetupError, OSError) as error:
                pause = min(2 * pause, RESTART_MOST_S)
                logger.error(
                    "the embedded postgres does not start",
                    extra={"error": str(error)},
                )
            else:
                pause = RESTART_FIRST_S
                self._say("PostgreSQL ended and runs again")

    async def _until_exited(self) -> None:
        postmaster = self._postmaster
        if postmaster is None:
            return
        while postmaster.alive():
            logs.prune(self._folder.cluster)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PRUNE_EVERY_S):
                    await postmaster.exited()
        self._forget(postmaster)

    def _forget(self, postmaster: Postmaster) -> None:
        postmaster.reap()
        postmaster.close()
        self._postmaster = None

    async def _stop_postmaster(self, postmaster: Postmaster) -> None:
        """Fast; when that takes too long at once, and the next start recovers."""
        postmaster.send(signal.SIGINT)
        try:
            async with asyncio.timeout(FAST_STOP_S):
                await postmaster.exited()
        except TimeoutError:
            logger.warning("a fast stop of postgres took too long")
            postmaster.send(signal.SIGQUIT)
            await postmaster.exited()

    def _ready_programs(self) -> Programs:
        if self._programs is None:
            raise SetupError("the embedded server was not prepared")
        return self._programs
