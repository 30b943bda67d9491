"""`scripts/bench`: run cases, print JSON or a table. Exit code 1: a budget missed."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import sys
from collections.abc import Sequence
from functools import partial

import uvloop

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.database import server
from scripts.benchmarks.harness import (
    Result,
    left_out,
    machine,
    raise_file_limit,
    table,
)
from scripts.benchmarks.quiet import Quiet
from service import wire

CASES = (
    "append",
    "append_latency",
    "commit_latency",
    "token_latency",
    "turn_reads",
    "prompt",
    "fanout",
    "idle_memory",
    "stalled",
    "small_pool",
    "heartbeat",
    "rebuild",
    "lag",
    "client",
)
"""Modules of `cases`, in the order in which they run."""


PATIENCE_S = 30.0


def say(text: str) -> None:
    """Progress goes to standard error; standard output is for the results."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _say_of(case: str, text: str) -> None:
    say(f"{case}: {text}")


async def run(names: Sequence[str], *, quick: bool, patience_s: float) -> list[Result]:
    """Run these cases on one server; a case that fails does not stop the others."""
    results: list[Result] = []
    async with server(lambda text: say(f"postgres: {text}")) as started:
        for name in names:
            say(f"== {name}")
            case = importlib.import_module(f"scripts.benchmarks.cases.{name}")
            tell = partial(_say_of, name)
            quiet = Quiet(patience_s, tell)
            bench = Bench(started, quick, tell, machine(), quiet)
            try:
                results += await case.run(bench)
            except Exception as error:
                logging.getLogger(__name__).exception("case %s failed", name)
                results.append(left_out(name, "", f"{type(error).__name__}: {error}"))
    return results


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="results as JSON on stdout")
    parser.add_argument(
        "--case",
        action="append",
        choices=CASES,
        metavar="NAME",
        help=f"only this case; may be repeated: {', '.join(CASES)}",
    )
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long a case may wait for a quiet machine (%(default).0f)",
    )
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        work = run(asked.case or CASES, quick=asked.quick, patience_s=asked.patience)
        results = runner.run(work)
    say(table(results))
    if asked.json:
        sys.stdout.write(wire.dumps([r.as_json() for r in results]).decode() + "\n")
    return 1 if any(result.passed is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
