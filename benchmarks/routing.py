"""What a decision of the router costs: match, filter, score, pick, reserve. Names of blocks are computed before.

    python benchmarks/routing.py [--replicas 16,128,1000] [--tokens 2000] [--requests 3000]

A quarter of the prompts is new, the others share one of 50 prefixes that make half of a prompt; 500 requests are open.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import deque

import numpy as np

from sapwood.cluster.routing.fleet import ReplicaInfo
from sapwood.cluster.routing.request import RoutingRequest
from sapwood.cluster.routing.router import Router


def decisions(replicas: int, tokens: int, requests: int) -> np.ndarray:
    """Seconds of each decision, from the 500th on."""
    rng = random.Random(0)

    def draw(n: int) -> list[int]:
        return [rng.randrange(32000) for _ in range(n)]

    router = Router()
    for i in range(replicas):
        router.add_replica(ReplicaInfo(f"r{i}", f"pool{i % 2}", "m", "n", 16, 4000, 2 * tokens, 5000.0))
    prefixes = [draw(tokens // 2) for _ in range(50)]
    open_requests: deque[str] = deque()
    found = []
    for k in range(requests):
        start = [] if rng.random() < 0.25 else rng.choice(prefixes)
        request = RoutingRequest(f"q{k}", "m", start + draw(tokens - len(start)), 200)
        request.block_hashes("n", 16)
        began = time.perf_counter()
        router.route(request)
        found.append(time.perf_counter() - began)
        open_requests.append(request.request_id)
        if len(open_requests) > 500:
            router.generated(open_requests[0], 100)
            router.finished(open_requests.popleft())
    return np.array(found[500:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicas", default="16,128,1000")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=3000)
    options = parser.parse_args()
    for count in map(int, options.replicas.split(",")):
        ms = 1e3 * decisions(count, options.tokens, options.requests)
        median, high = np.percentile(ms, [50, 99])
        print(f"{count:5} replicas: median {median:.3f} ms, 99th percentile {high:.3f} ms, worst {ms.max():.2f} ms")


if __name__ == "__main__":
    main()
