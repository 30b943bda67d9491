"""Providers, models and settings as one process keeps them, until the log tells more.

Every change of these tables is an event of category `platform`, committed with it. So
nothing is polled: what was read is kept until such an event is heard of, and a read
that began before that is given to those who waited for it, but not kept.

Nothing is kept that nobody could tell us is outdated. Before the tail has begun, and
while it cannot hear, everybody who asks reads anew; when the database cannot answer,
they are told so. What was good yesterday is never used in place of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from service.db.pool import Pool
from service.eventstore.records import RecordedEvent
from service.platform.audit import PLATFORM
from service.platform.cache import Cache
from service.platform.model_configs import list_model_configs
from service.platform.providers import list_providers
from service.platform.snapshot import Snapshot as Snapshot
from service.platform.snapshot import UserSettings as UserSettings
from service.platform.stored_settings import list_settings, list_user_settings
from service.platform.thresholds import list_thresholds

USERS = 512
"""A worker has 200 chats at a time. Each may have a prompt of 128 KiB, few have."""

OF_ALL = frozenset({"provider_changed", "model_config_changed", "setting_changed"})
OF_USERS = frozenset({"user_setting_changed", "compaction_threshold_changed"})

ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class Catalog:
    """Made before the tail runs; it is told of events, resets and silences by it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._shared = Cache[None, Snapshot](self._read_shared, size=1)
        self._users = Cache[UUID, UserSettings](self._read_user, size=USERS)

    async def snapshot(self) -> Snapshot:
        """What holds for everybody. Raises DatabaseAway when it cannot be read."""
        self._pool.guard.check("reading settings")
        return await self._shared.get(None)

    async def newest(self) -> Snapshot:
        """The same, with everything that was committed before the call."""
        self._shared.forget()
        return await self.snapshot()

    async def usable(self, config_id: UUID) -> bool:
        """Whether a turn could ask this config's model. Raises likewise."""
        if (await self.snapshot()).usable(config_id):
            return True
        # it may have been made a moment ago, elsewhere
        return (await self.newest()).usable(config_id)

    async def deployment_prompt(self) -> tuple[bool, str]:
        """Whether new chats are told our prompt, and the operator's text."""
        return (await self.snapshot()).deployment_prompt

    async def user(self, user_id: UUID) -> UserSettings:
        """What a user has set, nothing for one who is not there. Raises likewise."""
        self._pool.guard.check("reading settings")
        return await self._users.get(user_id)

    def on_events(self, events: Sequence[RecordedEvent]) -> None:
        """Forget what these events change; `data` are not needed for it."""
        types = {e.type for e in events if e.stream.category == PLATFORM}
        if types & OF_ALL:
            self._shared.forget()
        if types & OF_USERS:
            # whose it was the stream's id does not say; users change little
            self._users.forget()

    def on_stale(self, stale: bool) -> None:
        """Keep nothing while changes cannot be heard of."""
        for cache in (self._shared, self._users):
            cache.keeps = not stale
            cache.forget()

    def forget_all(self) -> None:
        """Forget everything: the log has another history."""
        self._shared.forget()
        self._users.forget()

    @property
    def reads(self) -> int:
        """How often the database was asked."""
        return self._shared.fills + self._users.fills

    async def close(self) -> None:
        """End what is being read."""
        await self._shared.close()
        await self._users.close()

    async def _read_shared(self, _: None) -> Snapshot:
        async with self._pool.reachable() as connection, connection.transaction():
            await connection.execute(ONE_MOMENT)
            return Snapshot.of(
                await list_providers(connection),
                await list_model_configs(connection),
                await list_settings(connection),
            )

    async def _read_user(self, user_id: UUID) -> UserSettings:
        async with self._pool.reachable() as connection:
            return UserSettings.of(
                await list_user_settings(connection, user_id),
                await list_thresholds(connection, user_id),
            )
