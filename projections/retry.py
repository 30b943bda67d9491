"""Retry a parked stream: forget its rows and replay it from its first event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from projections import checkpoint as checkpoints
from projections.apply import apply_append, apply_items, execute, is_poison
from projections.checkpoint import Checkpoint
from projections.page import Item, appends, decode_item
from projections.projection import Projection
from service.db.pool import Connection
from service.eventstore import store
from service.eventstore.records import StreamName

PAGE = 500


async def retry(
    connection: Connection, projection: Projection, stream: StreamName
) -> int:
    """Replay one stream up to the checkpoint, in one transaction.

    Returns how many events the projection took; 0 when the stream is not parked. Raises
    Poisoned when an event still cannot be taken; the stream stays parked as it was.
    """
    async with connection.transaction():
        await checkpoints.lock_and_wait(connection, *projection.key)
        for checkpoint in await checkpoints.read(connection, [projection]):
            if stream.stream_id in checkpoint.parked:
                return await _replay(connection, checkpoint, stream)
    return 0


async def _replay(
    connection: Connection, checkpoint: Checkpoint, stream: StreamName
) -> int:
    projection = checkpoint.projection
    await checkpoints.unpark(
        connection, projection, stream.category, [stream.stream_id]
    )
    await execute(connection, projection, projection.forget(stream.stream_id))
    cleared = replace(checkpoint, parked=frozenset())
    version = applied = 0
    while True:
        events = await store.read_stream(connection, stream, version, PAGE)
        # what is past the checkpoint is the runner's to deliver
        items = [
            decode_item(event, projection.types)
            for event in events
            if event.position <= checkpoint.place.position
        ]
        applied += await _apply_items(connection, cleared, items)
        if len(events) < PAGE:
            return applied
        version = events[-1].version


async def _apply_items(
    connection: Connection, checkpoint: Checkpoint, items: Sequence[Item]
) -> int:
    try:
        async with connection.transaction():
            return await apply_items(connection, checkpoint, items)
    except Exception as error:
        if not is_poison(error):
            raise
        for append in appends(items):
            poisoned = await apply_append(connection, checkpoint, append)
            if poisoned is not None:
                raise poisoned from error
        raise
