"""A rebuild in a terminal: bar, events a second, time left; and how to end it early."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from projections.rebuild import Progress


class RateColumn(ProgressColumn):
    """Events a second, lately; of a short build over all of it."""

    def render(self, task: Task) -> Text:
        """The rate; nothing before there is one."""
        speed = task.finished_speed or task.speed
        if speed is None and task.elapsed:
            speed = task.completed / task.elapsed
        return Text(f"{speed:,.0f} events/s" if speed else "")


@contextmanager
def bar(name: str, *, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on standard error, if that is a terminal; give it each progress."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Bar(
        *columns, console=console, disable=not (shown and console.is_terminal)
    ) as (drawn):
        task = drawn.add_task(name, total=None)

        def update(at: Progress) -> None:
            drawn.update(task, completed=at.position, total=at.head)

        yield update


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does: in order, with nothing left behind."""
    loop, work = asyncio.get_running_loop(), asyncio.current_task()
    assert work is not None  # noqa: S101  called from a coroutine
    loop.add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
