"""What a decision of the router costs: match, filter, score, pick, reserve. Names of blocks are computed before.

    python benchmarks/routing.py [--replicas 16,128,1000] [--tokens 2000] [--requests 2000]

Prompts are a quarter that all share, a quarter of one of 50 groups, and a half that is new; one in four is all new.
Each replica has had four of them before, so those that match, match to different depths. Times are of the processor, so
that other work on the machine does not count. "after" is what `generated` and `finished` of a request cost together.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from sapwood.cluster.routing.fleet import ReplicaInfo
from sapwood.cluster.routing.request import RoutingRequest
from sapwood.cluster.routing.router import Router


def processor_seconds(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def decisions(replicas: int, tokens: int, requests: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Seconds of each decision and of what comes after it, once the index is warm; and the entries of the index."""
    rng = random.Random(0)

    def draw(n: int) -> list[int]:
        return [rng.randrange(32000) for _ in range(n)]

    router = Router()
    for i in range(replicas):
        router.add_replica(ReplicaInfo(f"r{i}", f"pool{i % 2}", "m", "n", 16, 4000, 2 * tokens, 5000.0))
    shared = draw(tokens // 4)
    groups = [draw(tokens // 4) for _ in range(50)]
    open_requests: deque[str] = deque()
    warm = 4 * replicas
    found, after = [], []
    for k in range(warm + requests):
        start = [] if rng.random() < 0.25 else shared + rng.choice(groups)
        request = RoutingRequest(f"q{k}", "m", start + draw(tokens - len(start)), 200)
        request.block_hashes("n", 16)
        found.append(processor_seconds(lambda: router.route(request)))
        open_requests.append(request.request_id)
        if len(open_requests) > 500:
            oldest = open_requests.popleft()
            after.append(processor_seconds(lambda: (router.generated(oldest, 100), router.finished(oldest))))
    return np.array(found[warm:]), np.array(after), len(router.index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicas", default="16,128,1000")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    for count in map(int, options.replicas.split(",")):
        seconds, after, entries = decisions(count, options.tokens, options.requests)
        median, high = np.percentile(1e3 * seconds, [50, 99])
        print(
            f"{count:5} replicas: median {median:.2f} ms, 99th percentile {high:.2f} ms, "
            f"worst {1e3 * seconds.max():.1f} ms, after {1e3 * np.median(after):.2f} ms; {entries} entries"
        )


if __name__ == "__main__":
    main()
