"""Two versions of a read model at one position: held, and brought there.

Inside the caller's transaction: no projector moves either of them until its end. The
one behind is brought up if this release knows its definition; else its own projectors
must, and the caller lets go and comes back.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.errors import LockNotAvailable

from projections import checkpoint as checkpoints
from projections.apply import apply_page
from projections.page import check_history, read_page
from projections.projection import Projection
from projections.versions import Version, versions
from service.db.pool import Connection
from service.errors import SetupError

PAGE = 500
"""Events at a time; it is seldom more than what came since a moment ago."""


class Apart(LockNotAvailable):
    """They are not at one position yet; tried again like a lock that is taken."""


def known(projection: Projection, version: Version) -> Projection | None:
    """The projection on that version's tables, if it is what made them."""
    if projection.made_by != version.definition:
        return None
    return projection.under(version.version)


async def hold(
    connection: Connection, name: str, numbers: Sequence[int]
) -> list[Version]:
    """Hold versions against every projector; gives them as they are, in this order.

    Raises SetupError for one that is gone.
    """
    for number in sorted(numbers):
        await checkpoints.lock_and_wait(connection, name, number)
    found = {v.version: v for v in await versions(connection, name, *numbers)}
    for number in numbers:
        if number not in found:
            raise SetupError(f"{name} v{number} is not there any more")
    return [found[number] for number in numbers]


def need_running(version: Version) -> None:
    """Raises SetupError when it is not built to the end, or stopped."""
    if version.state != "running":
        why = version.error or "it is not built to the end"
        raise SetupError(f"{version} is {version.state}: {why}; mend that first")


async def bring_to(
    connection: Connection, projection: Projection | None, position: int
) -> None:
    """Apply what is missing up to a position that another version stands at.

    Raises Apart when nobody here knows how, SetupError when an event is in the way.
    """
    if projection is None:
        raise Apart("a version made by another release is behind")
    while True:
        found = await checkpoints.read(connection, [projection])
        if not found or found[0].place.position >= position:
            return
        start = found[0].place.position
        page = await read_page(
            connection, start, projection.types, limit=min(PAGE, position - start)
        )
        check_history(found[0], page)
        (applied,) = await apply_page(connection, found, page)
        if applied.stopped or applied.failed or applied.end == found[0].place:
            raise SetupError(
                f"{projection.name} v{projection.version} cannot pass position {start}"
            )
        await checkpoints.advance(connection, [(found[0], applied.end)])
