"""How tables are laid out on disk: what the page about storage promises."""

from __future__ import annotations

import pytest

from service.db.pool import Connection
from tests.sql.batch import rows, value

OPTIONS = "SELECT coalesce(reloptions, '{}') FROM pg_class WHERE oid = %s::regclass"

UPDATED = ["ops.leases", "ops.projections", "ops.checkpoints"]

LZ4 = """
SELECT 'lz4' = ANY (enumvals) FROM pg_settings
WHERE name = 'default_toast_compression'
"""

COMPRESSION = """
SELECT attcompression FROM pg_attribute
WHERE attrelid = 'es.events'::regclass AND attname IN ('data', 'metadata')
"""

INDEXED = """
SELECT count(*) FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = %s::regclass AND a.attname = ANY (%s)
"""


async def test_inserts_call_for_vacuum_of_the_log(service: Connection) -> None:
    options = await value(service, OPTIONS, ["es.events"])
    assert set(options) == {
        "autovacuum_vacuum_insert_threshold=100000",
        "autovacuum_vacuum_insert_scale_factor=0.01",
    }


async def test_text_is_compressed_with_lz4_where_the_server_has_it(
    service: Connection,
) -> None:
    expected = "l" if await value(service, LZ4) else ""
    found = await rows(service, COMPRESSION)
    assert [
        kind.decode() if isinstance(kind, bytes) else kind for (kind,) in found
    ] == [expected] * 2


async def test_time_is_indexed_by_blocks(service: Connection) -> None:
    definition = await value(
        service, "SELECT pg_get_indexdef('es.events__recorded_at__idx'::regclass)"
    )
    assert "USING brin (recorded_at)" in definition


@pytest.mark.parametrize("table", UPDATED)
async def test_updated_rows_have_room_on_their_page(
    service: Connection, table: str
) -> None:
    assert "fillfactor=50" in await value(service, OPTIONS, [table])


@pytest.mark.parametrize(
    ("table", "changing"),
    [
        ("ops.leases", ["heartbeat_at", "worker", "term"]),
        ("ops.projections", ["active_version", "updated_at"]),
        ("ops.checkpoints", ["position", "digest", "state", "updated_at"]),
    ],
)
async def test_no_index_is_on_what_changes(
    service: Connection, table: str, changing: list[str]
) -> None:
    assert await value(service, INDEXED, [table, changing]) == 0


@pytest.mark.parametrize("table", ["es.live_parts", "ops.leases"])
async def test_what_is_disposable_writes_no_wal(
    service: Connection, table: str
) -> None:
    kind = await value(
        service, "SELECT relpersistence FROM pg_class WHERE oid = %s::regclass", [table]
    )
    assert kind in ("u", b"u")
    options = await value(service, OPTIONS, [table])
    assert "autovacuum_vacuum_scale_factor=0.01" in options
