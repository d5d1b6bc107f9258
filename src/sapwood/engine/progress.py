"""The progress bar of `LLM.generate`: requests done, and tokens per second in and out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(total: int, enabled: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, if it is a terminal or a notebook, while the block runs.

    Yields a function to call with (prompt tokens, generated tokens) for every finished request.
    """
    if not enabled:
        yield lambda tokens_in, tokens_out: None
        return
    from rich.console import Console  # late: a script without a terminal need not pay for the import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("in {task.fields[rate_in]:.0f} tok/s, out {task.fields[rate_out]:.0f} tok/s"),
        console=console,
        disable=not (console.is_terminal or console.is_jupyter),
    )
    task = progress.add_task("Generating", total=total, rate_in=0.0, rate_out=0.0)
    start = time.monotonic()
    sums = [0, 0]

    def request_done(tokens_in: int, tokens_out: int) -> None:
        sums[0] += tokens_in
        sums[1] += tokens_out
        seconds = max(time.monotonic() - start, 1e-6)
        progress.update(task, advance=1, rate_in=sums[0] / seconds, rate_out=sums[1] / seconds)

    with progress:
        yield request_done
