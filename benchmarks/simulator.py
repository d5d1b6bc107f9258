"""The router's figures in the simulator: hit rate, time to first token and imbalance; and a pool of two speeds.

    python benchmarks/simulator.py [--replicas 16,128,1000] [--requests 200] [--mixed]

Conversations of 4 turns in the mean begin once a second for each replica, with one of 50 system prompts of 512 tokens
(Zipf), log-normal texts and exponential times to think of 10 s; --requests of them for each replica. A step takes
8 ms + 60 us a token + 30 ns a token of context. --mixed: one device of speed 8 and 8 of speed 1 with more to do than
they can, against each kind alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sapwood.cluster.simulator.engine import ReplicaSpec
from sapwood.cluster.simulator.policies import POLICIES
from sapwood.cluster.simulator.report import table
from sapwood.cluster.simulator.run import Cluster, Result
from sapwood.cluster.simulator.timing import TimingModel
from sapwood.cluster.simulator.traces import ConversationTrace
from sapwood.loadgen.metrics import percentile

TIMING = TimingModel(0.008, 6e-5, 3e-8)
SLOW, FAST = ReplicaSpec("slow", TIMING), ReplicaSpec("fast", TIMING.faster(8))
SATURATING = 5.0  # conversations per second for each unit of speed: about twice of what can be done


def simulate(policy: str, specs: Sequence[ReplicaSpec], requests: int, rate: float) -> Result:
    trace = ConversationTrace(requests, rate, think_seconds=10.0)
    return Cluster(specs, POLICIES[policy], name=policy).run(trace)


def compare(replicas: int, requests: int) -> None:
    found = {
        name: simulate(name, [SLOW] * replicas, requests * replicas, float(replicas))
        for name in ("default", "least_load", "round_robin")
    }
    print(f"{replicas} replicas, {requests} requests each")
    print(table(list(found.values())))
    ours = found["default"]
    p99 = {name: percentile(sorted(result.ttft), 99) for name, result in found.items()}
    print(
        f"hit rate over the ideal {ours.hit_rate / ours.ideal_hit_rate:.3f} (at least 0.95); "
        f"p99 TTFT over least load's {p99['default'] / p99['least_load']:.2f} (1), "
        f"over round robin's {p99['default'] / p99['round_robin']:.2f} (0.5); "
        f"imbalance {ours.imbalance:.2f} (1.5); wall {ours.wall_seconds:.0f} s",
        flush=True,
    )


def mixed(requests: int) -> None:
    parts = [[FAST], [SLOW] * 8]
    tokens = []
    for specs in (*parts, parts[0] + parts[1]):
        units = sum(8 if spec is FAST else 1 for spec in specs)
        tokens.append(simulate("default", specs, requests * units, SATURATING * units).throughput)
    print(
        f"fast alone {tokens[0]:.0f} output tokens/s, slow alone {tokens[1]:.0f}, together {tokens[2]:.0f}: "
        f"{tokens[2] / (tokens[0] + tokens[1]):.3f} of the sum (at least 0.95)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--replicas", default="16,128,1000")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--mixed", action="store_true")
    options = parser.parse_args()
    if options.mixed:
        mixed(options.requests)
        return
    for replicas in map(int, options.replicas.split(",")):
        compare(replicas, options.requests)


if __name__ == "__main__":
    main()
