"""A rebuild begun at any point of any log, while it grows, equals the live one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID, uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from projections.diff import diff
from projections.projection import Entry, Projection
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from projections.tables import make_read_models
from projections.usage_ledger import USAGE_LEDGER
from projections.versions import active, drop, pick
from service.db.pool import Connection, Database, connect
from service.eventstore import codec, store
from service.eventstore.records import ANY, AppendRequest, StreamAppend, StreamName
from service.subscription.wakeup import Wakeup
from tests.fixtures.purging import purge
from tests.property.projections.spent import ledger_of
from tests.property.projections.test_read_models import Batches, logs

Appends = Sequence[Sequence[Entry]]

SPENT_ON = "SELECT count(*) FROM read.usage_ledger WHERE chat_id = ANY (%s)"


def appends_of(entries: Sequence[Entry]) -> Appends:
    """The entries, those of one append together."""

    def append(entry: Entry) -> tuple[object, int]:
        return entry.recorded.stream, entry.recorded.append_last

    return [tuple(group) for _, group in groupby(entries, key=append)]


@settings(
    max_examples=12,
    deadline=None,
    # an example takes a second here: shrinking one would take minutes
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    logs(),
    st.sampled_from(PROJECTIONS),
    st.integers(1, 40),
    st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
)
async def test_rebuild_at_any_cut_equals_the_live_one(
    database: Database,
    batches: Batches,
    projection: Projection,
    batch_size: int,
    cuts: list[float],
) -> None:
    """Cuts: what is projected live before, what the build begins with, what follows."""
    appends = appends_of(batches.log.entries)
    early, begun, late = (round(cut * len(appends)) for cut in cuts)
    chats: dict[UUID, UUID] = defaultdict(uuid4)
    await make_read_models(database, PROJECTIONS)
    async with (
        await connect(database, role="service", name="writer") as writer,
        await connect(database, role="projector", name="live") as live,
    ):
        runner = ProjectionRunner(
            database, PROJECTIONS, Wakeup(), poll_interval_s=1.0, batch_size=batch_size
        )
        await post(writer, appends[:early], chats)
        await runner.catch_up(live)
        await post(writer, appends[early:begun], chats)
        waiting = [*appends[begun:late]]

        async def step(name: str) -> None:
            if waiting:
                await post(writer, [waiting.pop(0)], chats)
            if name != "batch":
                await runner.catch_up(live)

        await rebuild(database, projection, step=step, batch_size=batch_size)
        await post(writer, [*waiting, *appends[late:]], chats)
        await runner.catch_up(live)
        old = await active(live, projection.name)
        new = await pick(live, projection.name, None)
        found = await diff(live, projection, old, new)
        assert found.empty, found.tables
        await drop(live, database, new)


@settings(
    max_examples=8,
    deadline=None,
    # as above
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(logs(), st.booleans(), st.integers(1, 40))
async def test_what_was_spent_is_rebuilt_from_what_purges_leave(
    database: Database, batches: Batches, seen: bool, batch_size: int
) -> None:
    """Whether the live one saw the events before they were erased, or only after."""
    chats: dict[UUID, UUID] = defaultdict(uuid4)
    await make_read_models(database, PROJECTIONS)
    async with (
        await connect(database, role="service", name="writer") as writer,
        await connect(database, role="projector", name="live") as live,
    ):
        runner = ProjectionRunner(
            database, PROJECTIONS, Wakeup(), poll_interval_s=1.0, batch_size=batch_size
        )
        await post(writer, appends_of(batches.log.entries), chats)
        expected = len(ledger_of(batches.log))
        if seen:
            await runner.catch_up(live)
        for chat_id in chats.values():
            await purge(database, chat_id)
        await runner.catch_up(live)
        found = await live.execute(SPENT_ON, (list(chats.values()),))
        assert await found.fetchall() == [(expected,)]
        await rebuild(database, USAGE_LEDGER, batch_size=batch_size)
        old = await active(live, USAGE_LEDGER.name)
        new = await pick(live, USAGE_LEDGER.name, None)
        compared = await diff(live, USAGE_LEDGER, old, new)
        assert compared.empty, compared.tables
        await drop(live, database, new)


async def post(writer: Connection, appends: Appends, chats: dict[UUID, UUID]) -> None:
    """Append, to chats of this example alone."""
    for append in appends:
        stream = StreamName("chat", chats[append[0].chat_id])
        events = tuple(codec.encode(entry.event, {}) for entry in append)
        request = AppendRequest((StreamAppend(stream, ANY, events),), str(uuid4()), b"")
        (done,) = await store.append(writer, [request])
        assert done.outcome == "appended"
