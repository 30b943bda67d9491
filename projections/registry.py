"""The projections of this release, a line each, and those that people add.

A distribution adds its own under the entry point group `parley.projections`:
`words = "my_package.words:WORDS"`. `module:Name` names one that is not installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points

from projections.chats import CHATS
from projections.cursors import CURSORS
from projections.messages import MESSAGES
from projections.projection import Projection
from projections.queue import QUEUE
from projections.runnable import RUNNABLE
from projections.search import SEARCH
from projections.usage_ledger import USAGE_LEDGER
from projections.watch_feed import WATCH_FEED
from service.errors import SetupError

PROJECTIONS: tuple[Projection, ...] = (
    CHATS, CURSORS, MESSAGES, QUEUE, RUNNABLE, SEARCH, USAGE_LEDGER, WATCH_FEED,
)  # fmt: skip

GROUP = "parley.projections"


def installed() -> tuple[Projection, ...]:
    """Those of the release and of all that is installed beside it.

    Raises SetupError for one that cannot be loaded: a read model that silently stays
    behind is worse than a start that says why.
    """
    found = {projection.name: projection for projection in PROJECTIONS}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        projection = load(point.value)
        if projection.name in found:
            raise SetupError(
                f"entry point {point.name!r}: there is a projection"
                f" {projection.name!r} already; give it another name"
            )
        found[projection.name] = projection
    return tuple(found.values())


def find(target: str) -> Projection:
    """The projection called so, or at `module:Name`. Raises SetupError."""
    if ":" in target:
        return load(target)
    everything = {projection.name: projection for projection in installed()}
    if target not in everything:
        raise SetupError(
            f"there is no projection {target!r}; there are {', '.join(everything)}"
        )
    return everything[target]


def load(target: str) -> Projection:
    """The projection at `module:Name`; the working directory counts, too."""
    module, _, name = target.partition(":")
    if "" not in sys.path:
        # a console script does not look where it is called
        sys.path.append("")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SetupError(f"cannot load the projection {target!r}: {error}") from error
    if not isinstance(found, Projection):
        raise SetupError(f"{target!r} is no Projection but a {type(found).__name__}")
    if found.sql is None and found not in PROJECTIONS:
        raise SetupError(f"{target!r} has no `sql` that makes its tables")
    return found
