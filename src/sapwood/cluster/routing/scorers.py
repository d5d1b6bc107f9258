"""Score: what a request would cost on each replica; less is better. A scorer is a frozen dataclass with its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from sapwood.cluster.routing.filters import Candidate


class Scorer(Protocol):
    name: ClassVar[str]

    def cost(self, c: Candidate) -> np.ndarray:
        """For each slot a number; inf never wins."""
        ...


@dataclass(frozen=True)
class Work:
    """Seconds until a replica had done all it has to do, with this request: prompt tokens that are not cached, and the
    tokens that requests will probably still generate, each of them worth `decode_weight` prompt tokens; over the
    measured speed of its pool.

    A cached prefix counts for as long as computing it would take, so a request leaves the replica that has its prefix
    when the queue there costs more than that. The form is that of Dynamo's cost (prefill and decode blocks in one sum)
    with seconds in place of blocks, so that fast and slow devices compare.
    """

    decode_weight: float = 1.0
    name: ClassVar[str] = "work"

    def __post_init__(self) -> None:
        if not 0 <= self.decode_weight <= 1000:
            raise ValueError(f"decode_weight is {self.decode_weight}; allowed: 0 to 1000")

    def cost(self, c: Candidate) -> np.ndarray:
        fleet = c.fleet
        prefill = fleet.prefill + fleet.other_prefill + c.uncached
        return (prefill + self.decode_weight * (fleet.decode + c.expected_output)) / fleet.tokens_per_second


@dataclass(frozen=True)
class CacheUsage:
    """The share of a replica's KV cache that requests would hold, 0 to 1 and above."""

    name: ClassVar[str] = "cache_usage"

    def cost(self, c: Candidate) -> np.ndarray:
        return c.fleet.full + c.uncached / np.maximum(c.fleet.capacity, 1)


@dataclass(frozen=True)
class OpenRequests:
    """Requests that a replica has: least load as others count it."""

    name: ClassVar[str] = "requests"

    def cost(self, c: Candidate) -> np.ndarray:
        return c.fleet.requests + c.fleet.other_requests


@dataclass(frozen=True)
class UncachedShare:
    """The share of the prompt that a replica does not have, 0 to 1."""

    name: ClassVar[str] = "uncached_share"

    def cost(self, c: Candidate) -> np.ndarray:
        return c.uncached / max(c.request.num_tokens, 1)


SCORERS: dict[str, type] = {s.name: s for s in (Work, CacheUsage, OpenRequests, UncachedShare)}
