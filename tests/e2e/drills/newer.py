"""`parley` of a newer release: it stores titles in a shape that this one cannot read.

It is this release with one schema version more, so what it can do is the same; what
matters is what the older processes beside it do with its events.
"""

from __future__ import annotations

from typing import Any, cast

from service.cli.main import main
from service.domain import upcasters
from service.domain.events.metadata import TitleChanged

TYPE = "title_changed"


def upgrade() -> None:
    """One version more, and the step to it from the one before."""
    newest = TitleChanged.schema_version + 1
    cast(Any, upcasters.STEPS)[TYPE, TitleChanged.schema_version] = lambda data: data
    cast(Any, upcasters.CURRENT)[TYPE] = newest
    TitleChanged.schema_version = newest


if __name__ == "__main__":
    upgrade()
    main()
