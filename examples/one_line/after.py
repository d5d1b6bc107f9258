"""How long do customers wait at a counter, as it gets busier? A simulation that does not take long.

    python examples/one_line/after.py
"""

from __future__ import annotations

import time

from sapwood import fn


@fn
def mean_wait(customers: int, load: float, seed: int) -> float:
    """Mean wait in a queue with one server; arrivals come 1 apart on average, service takes `load` on average.

    Lindley (1952): a customer waits what the one before waited, plus its service, less the gap between the two.
    """
    wait = total = 0.0
    for _ in range(customers):
        total += wait
        seed = (seed * 1103515245 + 12345) % 2147483648
        gap = 2.0 * seed / 2147483648
        seed = (seed * 1103515245 + 12345) % 2147483648
        service = load * 2.0 * seed / 2147483648
        wait = max(0.0, wait + service - gap)
    return total / customers


def main(customers: int = 500_000) -> None:
    start = time.perf_counter()
    for load in (0.5, 0.7, 0.9, 0.95):
        print(f"load {load:.2f}: {mean_wait(customers, load, 2026):.4f}")
    print(f"{time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
