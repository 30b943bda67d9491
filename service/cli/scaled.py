"""The report of a scale test, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from service.cli.screen import printable
from service.cli.timeline import new_console
from service.scaletest.run import Report
from service.scaletest.vitals import Costs

SHOWN = 20
"""Differences that a person reads; JSON has all of them."""


def report_json(report: Report) -> dict[str, Any]:
    """Everything, for programs."""
    figures, plan = report.figures, report.plan
    return {
        "passed": report.passed,
        "whole": report.whole,
        "label": report.label,
        "seconds": report.seconds,
        "chats": plan.chats,
        "chats_completed": report.completed,
        "chats_compared": report.compared,
        "turns": plan.turns,
        "chat_turns_completed_total": figures.turns,
        "chat_retry_events_total": figures.retries,
        "chat_terminal_status_total": dict(figures.statuses),
        "requests_repeated": report.repeated,
        "measures": {
            measure: {phase or "all": asdict(of) for phase, of in phases.items()}
            for measure, phases in figures.summaries().items()
        },
        "chat_stage_failures_total": [
            {"stage": failure.stage, "reason": failure.reason, "count": count}
            for failure, count in figures.failures.most_common()
        ],
        "database": report.costs and report.costs.plain(),
        "database_unknown": report.no_costs or None,
        "differences": [found._asdict() for found in report.differences],
    }


def print_report(report: Report) -> None:
    """What a person wants to know, the verdict last."""
    console, plan, figures = new_console(), report.plan, report.figures
    console.print(_times(report))
    turns_a_second = figures.turns / report.seconds if report.seconds else 0.0
    console.print(
        f"{report.completed:,} of {plan.chats:,} chats and {figures.turns:,} of "
        f"{plan.chats * plan.turns:,} turns completed in {report.seconds:.1f} s, "
        f"{turns_a_second:.1f} turns/s; label scaletest:{report.label}"
    )
    if report.costs is not None:
        _print_costs(console, report.costs)
    else:
        console.print(Text(f"no metrics: {printable(report.no_costs)}", "yellow"))
    if figures.retries or report.repeated:
        console.print(
            f"{figures.retries:,} retries of the model, "
            f"{report.repeated:,} requests repeated"
        )
    for failure, count in figures.failures.most_common(SHOWN):
        reason = printable(failure.reason)
        console.print(Text(f"{count:>6,} x {failure.stage}: {reason}", "red"))
    for found in report.differences[:SHOWN]:
        console.print(Text(f"{found.chat_id} {printable(found.what)}", "bold red"))
    _print_verdict(console, report)


def _times(report: Report) -> Table:
    table = Table(
        Column("seconds", no_wrap=True), "phase", Column("count", justify="right"),
        *(Column(name, justify="right") for name in ("p50", "p95", "p99", "max")),
        box=None, padding=(0, 1),  # in 80 columns nothing is cut off
    )  # fmt: skip
    for measure, phases in report.figures.summaries().items():
        name = measure.removeprefix("chat_").removesuffix("_seconds")
        for phase, of in phases.items():
            times = (of.p50, of.p95, of.p99, of.max)
            row = (f"{seconds:.3f}" for seconds in times)
            table.add_row(name, phase or "", f"{of.count:,}", *row)
    return table


def _print_costs(console: Console, costs: Costs) -> None:
    by_purpose = sorted(costs.statements.items(), key=lambda item: -item[1])
    told = ", ".join(f"{purpose} {count:,}" for purpose, count in by_purpose)
    total = sum(costs.statements.values())
    console.print(
        f"database: {total:,} statements, {costs.statements_per_turn:.1f} a turn "
        f"({told})"
    )
    console.print(
        f"history reads: {costs.history_reads:,}, {costs.history_reads_per_turn:.2f} a "
        f"turn; heartbeats: {costs.heartbeats:,}; "
        f"{costs.events:,} events in {costs.batches:,} commits"
    )
    console.print(
        f"pool: {costs.connections_most_in_use} connections in use at most, "
        f"{costs.pool_waits:,} waits, {costs.pool_wait_seconds:.1f} s in all; "
        f"chats running at once: {costs.most_running:,} or more"
    )


def _print_verdict(console: Console, report: Report) -> None:
    if report.passed:
        console.print(Text("nothing lost, nothing doubled", "bold green"))
    elif report.whole:
        console.print(Text("nothing lost, but not all chats completed", "bold red"))
    else:
        count = len(report.differences)
        console.print(Text(f"{count:,} differences: not whole", "bold red"))
