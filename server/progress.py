"""A progress bar on standard error, so that standard output holds only what a command answers.

https://rich.readthedocs.io/en/stable/progress.html
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A bar that lasts as long as the block; where there is no terminal, one line at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
