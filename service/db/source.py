"""Which database: the one that the settings name, or an embedded one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.db.embedded.running import running_dsn
from service.db.embedded.server import EmbeddedPostgres
from service.db.pool import Database
from service.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Databases:
    """The database by the way that requests take, and the direct way."""

    main: Database
    direct: Database


@asynccontextmanager
async def open_database(
    settings: Settings, data_dir: Path, *, beside_service: bool = False
) -> AsyncIterator[Databases]:
    """Give the database; an embedded one runs for as long as this is entered.

    `beside_service`: use the embedded server of a service that runs there already.
    """
    prefix = settings.role_prefix
    if settings.database_url is not None:
        main = settings.database_url.get_secret_value()
        listen = settings.listen_url or settings.database_url
        yield Databases(
            Database(main, role_prefix=prefix, pooled=settings.database_pooler),
            Database(listen.get_secret_value(), role_prefix=prefix),
        )
        return
    if beside_service and (dsn := running_dsn(data_dir)) is not None:
        yield _same(Database(dsn, role_prefix=prefix))
        return
    async with EmbeddedPostgres(data_dir, say=say) as postgres:
        yield _same(Database(postgres.dsn, role_prefix=prefix))


def say(progress: str) -> None:
    """Tell whoever waits for a start, or a migration, how far it is."""
    logger.info("start", extra={"progress": progress})


def _same(database: Database) -> Databases:
    return Databases(database, database)
