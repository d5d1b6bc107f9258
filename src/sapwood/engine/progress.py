"""The progress bar of `LLM.generate`: requests done, and tokens per second in and out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(total: int, enabled: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr, if it is a terminal, while the block runs.

    Yields a function to call with (prompt tokens, generated tokens) for every finished request.
    """
    if not enabled or not sys.stderr.isatty():
        yield lambda tokens_in, tokens_out: None
        return
    from tqdm import tqdm  # late: a script without a terminal need not pay for the import

    start = time.monotonic()
    sums = [0, 0]
    with tqdm(total=total, desc="Generating", unit="request", file=sys.stderr) as bar:

        def request_done(tokens_in: int, tokens_out: int) -> None:
            sums[0] += tokens_in
            sums[1] += tokens_out
            seconds = max(time.monotonic() - start, 1e-6)
            bar.set_postfix_str(f"in {sums[0] / seconds:.0f} tok/s, out {sums[1] / seconds:.0f} tok/s", refresh=False)
            bar.update()

        yield request_done
