"""A progress bar for work that takes long: on a terminal only, and away once the work is done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_shown: list["Bar"] = []
"""The bar that is on the terminal: work within work shows none of its own."""


class Bar:
    """Progress of some work; shown on a terminal only."""

    def __init__(self, title: str, progress: Progress | None = None, total: float = 1.0) -> None:
        """Begin with nothing done."""
        self.done = 0.0
        self._progress = progress
        self._task: Any = None if progress is None else progress.add_task(title, total=total)

    def set(self, done: float, title: str | None = None) -> None:
        """Set how much is done, and the next task."""
        self.done = done
        if self._progress is not None:
            self._progress.update(self._task, completed=done, description=title)

    def advance(self, amount: float = 1.0, title: str | None = None) -> None:
        """Add to how much is done, and set the next task."""
        self.set(self.done + amount, title)


def _watched() -> bool:
    """Tell whether a bar is wanted: it would spoil a file or a pipe."""
    return not _shown and sys.stdout is not None and sys.stdout.isatty()


@contextmanager
def progress_bar(title: str, total: float, whole: bool = False) -> Iterator[Bar]:
    """Show a bar while the body runs; the body's output goes above it.

    Args:
        title: Name of the work.
        total: How much there is to do, in whatever unit.
        whole: The unit is a thing that can be counted: show how many.
    """
    console = Console(file=sys.stdout) if _watched() else None
    if console is None or not console.is_terminal or console.is_dumb_terminal:
        yield Bar(title)
        return
    count = [MofNCompleteColumn()] if whole else [TextColumn("{task.percentage:>3.0f} %")]
    columns = [TextColumn("{task.description}"), BarColumn(), *count, TimeElapsedColumn(), TextColumn("left:")]
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = Bar(title, progress, total)
        _shown.append(bar)
        try:
            yield bar
        finally:
            _shown.remove(bar)
