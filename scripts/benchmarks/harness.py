"""Rounds, percentiles, budgets, and the JSON that a case becomes.

Schemes that are compared take turns within each round, so that a machine which slows
down slows all of them; the median of the rounds counts. A ratio is that of the medians.
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""The unit in which the kernel tells CPU time."""

CONNECTIONS = 8_192
"""Open files that the largest case needs; the limit is raised to it where it may be."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on a value, or with `than` on its ratio to something measured beside it.

    Without `than` the ratio in the JSON is value / limit.
    """

    sense: Literal[">=", "<="]
    limit: float
    than: str | None = None

    def __str__(self) -> str:
        number = f"{self.limit:g}"
        return f"{self.sense} {number}" + (f" x {self.than}" if self.than else "")

    def allows(self, figure: float) -> bool:
        """Whether a value (or a ratio, with `than`) is within the budget."""
        return figure >= self.limit if self.sense == ">=" else figure <= self.limit


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report. Without a budget `passed` is None: it is for information.

    A case that could not run has `value` None and says why in its details.
    """

    case: str
    value: float | None
    unit: str
    budget: Budget | None = None
    baseline: float | None = None
    """What was measured beside it, in the same unit; the ratio is value / baseline."""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """To the baseline; without one, to the limit of the budget."""
        if self.value is None or self.baseline == 0:
            return None
        if self.baseline is not None:
            return self.value / self.baseline
        if self.budget is not None and self.budget.than is None:
            return self.value / self.budget.limit
        return None

    @property
    def passed(self) -> bool | None:
        """None when there is no budget, or nothing to hold it to."""
        if self.budget is None or self.value is None:
            return None
        if self.budget.than is None:
            return self.budget.allows(self.value)
        return None if self.ratio is None else self.budget.allows(self.ratio)

    def as_json(self) -> dict[str, Any]:
        """What `scripts/bench --json` prints of it."""
        return {
            "case": self.case,
            "value": rounded(self.value),
            "unit": self.unit,
            "budget": None if self.budget is None else str(self.budget),
            "ratio": rounded(self.ratio),
            "pass": self.passed,
            "details": _plain(dict(self.details)),
        }


def left_out(case: str, unit: str, why: str, budget: Budget | None = None) -> Result:
    """A case that this machine cannot run."""
    return Result(case, None, unit, budget, details={"left_out": why})


def rounded(value: float | None) -> float | None:
    """Four significant digits: more is noise."""
    if value is None or not math.isfinite(value) or value == 0:
        return value if value is None or math.isfinite(value) else None
    digits = 3 - math.floor(math.log10(abs(value)))
    return round(value, digits) if digits > 0 else float(round(value))


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that was measured, never one in between."""
    if not values:
        raise ValueError("no values were measured")
    ordered = sorted(values)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def median(values: Sequence[float]) -> float:
    """The middle one; of an even number the mean of the two."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median and range of some rounds, for the details."""
    return {
        "median": rounded(median(values)),
        "min": rounded(min(values)),
        "max": rounded(max(values)),
        "rounds": len(values),
    }


Scheme = Callable[[], Awaitable[float]]


async def interleave(
    schemes: Mapping[str, Scheme],
    *,
    rounds: int,
    before: Callable[[], Awaitable[None]],
    say: Callable[[str], None],
) -> dict[str, list[float]]:
    """Run every scheme once a round; the order turns, so that none is always first.

    `before` is awaited before each: it may wait for a quiet machine.
    """
    measured: dict[str, list[float]] = {name: [] for name in schemes}
    names = list(schemes)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            await before()
            measured[name].append(await schemes[name]())
        figures = ", ".join(f"{n} {rounded(v[-1]):g}" for n, v in measured.items())
        say(f"round {number + 1} of {rounds}: {figures}")
    return measured


def raise_file_limit() -> int:
    """Allow as many open files as the hard limit does; gives what is allowed now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "load_1m": rounded(os.getloadavg()[0]),
        "python": sys.version.split()[0],
    }


def table(results: Sequence[Result]) -> str:
    """The report for people."""
    rows = [("case", "value", "unit", "budget", "ratio", "")]
    for result in results:
        verdict = {True: "pass", False: "MISSED", None: "-"}[result.passed]
        rows.append(
            (
                result.case,
                _figure(result.value),
                result.unit,
                str(result.budget or "-"),
                _figure(result.ratio),
                verdict if result.value is not None else "left out",
            )
        )
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{rounded(value):,g}"


def _plain(value: Any) -> Any:
    """Details as JSON values, numbers rounded."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bool() | int() | str() | None:
            return value
        case float():
            return rounded(value)
        case _:
            return str(value)
