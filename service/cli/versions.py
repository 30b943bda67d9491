"""Versions of read models, and how they differ, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from projections.diff import Diff, TableDiff
from projections.versions import Version
from service import wire
from service.cli.options import print_json, print_line
from service.readmodels.lag import VersionLag

SAMPLE_CHARS = 300


def version_json(version: Version) -> dict[str, object]:
    """A version for programs."""
    return {
        "projection": version.name,
        "version": version.version,
        "definition": version.definition,
        "position": version.place.position,
        "state": version.state,
    }


def print_lag(found: Sequence[VersionLag], *, as_json: bool) -> None:
    """Each version: whether readers see it, its state, how far it is behind."""
    if as_json:
        print_json([asdict(row) for row in found])
        return
    failed = any(row.error for row in found)
    names = (
        "read model", "", "in use", "state", "position", "behind", "seconds", "parked"
    )  # fmt: skip
    table = Table(
        *(Column(name, no_wrap=True) for name in names), *(["error"] if failed else [])
    )
    for row in found:
        table.add_row(
            row.projection,
            f"v{row.version}",
            "yes" if row.active else "",
            row.state,
            f"{row.position:,}",
            f"{row.events_behind:,}",
            f"{row.seconds_behind:.1f}",
            f"{row.parked_streams:,}",
            *([row.error or ""] if failed else []),
        )
    Console().print(table)


def print_diff(found: Diff, *, as_json: bool) -> None:
    """Counts of rows that differ, and samples."""
    if as_json:
        print_json(_diff_json(found))
        return
    print_line(f"{found.old} and {found.new} at position {found.position}")
    for table in found.tables:
        _print_table(table)
    if found.old.parked != found.new.parked:
        print_line(f"parked: {len(found.old.parked)} and {len(found.new.parked)} chats")
    print_line("no difference" if found.empty else "they differ")


def _print_table(table: TableDiff) -> None:
    rows = f"{table.rows[0]:,} and {table.rows[1]:,} rows"
    print_line(
        f"{table.table}: {rows}; only old {table.only_old:,},"
        f" only new {table.only_new:,}, different {table.different:,}"
    )
    for kind, samples in table.samples.items():
        for sample in samples:
            print_line(f"  {kind}: {wire.dumps(sample).decode()[:SAMPLE_CHARS]}")
    for kind, columns in table.columns.items():
        if columns:
            print_line(f"  columns {kind}: {', '.join(columns)}; not compared")


def _diff_json(found: Diff) -> dict[str, Any]:
    return {
        "projection": found.new.name,
        "old": found.old.version,
        "new": found.new.version,
        "position": found.position,
        "empty": found.empty,
        "parked": {"old": len(found.old.parked), "new": len(found.new.parked)},
        "tables": [asdict(table) for table in found.tables],
    }
