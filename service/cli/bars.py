"""A progress bar on standard error, while that is a terminal."""

from __future__ import annotations

from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from service.cli.timeline import new_console


class Bar:
    """How far a long command is, of `total` steps; a context manager."""

    def __init__(self, what: str, total: int) -> None:
        console = new_console(stderr=True)
        self._progress = Progress(
            TextColumn(what),
            BarColumn(),
            TaskProgressColumn(show_speed=True),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def reach(self, steps: int) -> None:
        """So many are done."""
        self._progress.update(self._task, completed=steps)
