"""UPDATE of some columns of one row: the shape that rows of this package share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from psycopg import sql

from service.db.pool import Connection


async def update_row(
    connection: Connection,
    table: str,
    row_id: UUID,
    *,
    changes: Mapping[str, object],
    columns: Iterable[str],
) -> bool:
    """Set these columns of a row that is not deleted; False when there is none.

    Changing nothing changes nothing: not even updated_at. Raises ValueError for a
    column that may not be changed.
    """
    if unknown := sorted(set(changes) - set(columns)):
        raise ValueError(f"{table} has no column {unknown[0]!r} to change")
    name = sql.Identifier("platform", table)
    if not changes:
        query = sql.SQL("SELECT id FROM {} WHERE id = %s AND deleted_at IS NULL")
        found = await connection.execute(query.format(name), [row_id])
        return await found.fetchone() is not None
    query = sql.SQL("UPDATE {} SET {} WHERE id = %s AND deleted_at IS NULL")
    sets = sql.SQL(", ").join(
        sql.SQL("{} = %s").format(sql.Identifier(column)) for column in changes
    )
    values = [*changes.values(), row_id]
    return (await connection.execute(query.format(name, sets), values)).rowcount == 1
