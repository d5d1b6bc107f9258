"""When the requests of an open loop arrive."""

from __future__ import annotations

import random
from collections.abc import Iterator


def arrival_times(rate: float, burstiness: float, rng: random.Random) -> Iterator[float]:
    """Seconds from the start, for ever. Gaps are gamma distributed with mean 1/rate and shape `burstiness`.

    1.0 is a Poisson process, less is burstier, more is steadier, and inf sends at constant gaps. As in
    `vllm bench serve`, but gaps are not scaled afterwards: a short run's own rate differs from `rate`.
    """
    time = 0.0
    while True:
        yield time
        if burstiness == float("inf"):
            time += 1 / rate
        else:
            time += rng.gammavariate(burstiness, 1 / (rate * burstiness))
