"""Pick: one of the replicas that are left. Each picker is a frozen dataclass with its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from sapwood.cluster.routing.fleet import Fleet


class Picker(Protocol):
    name: ClassVar[str]

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        """One of `slots` (at least one), whose costs these are."""
        ...


@dataclass(frozen=True)
class Least:
    """The cheapest. Among those that cost hardly more (by `tolerance` of the least cost, or `slack`), the one whose
    last request came longest ago: a strict minimum sends a whole burst to one replica while costs are near zero. Of
    several that never had one, any, so that routers that begin together do not begin with the same replica."""

    tolerance: float = 0.02
    slack: float = 1e-3
    name: ClassVar[str] = "least"

    def __post_init__(self) -> None:
        for field in ("tolerance", "slack"):
            if not 0 <= getattr(self, field) <= 10:
                raise ValueError(f"{field} is {getattr(self, field)}; allowed: 0 to 10")

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        least = costs.min()
        near = slots[costs <= least + max(abs(least) * self.tolerance, self.slack)]
        return _longest_ago(fleet, near, random)


@dataclass(frozen=True)
class TwoChoices:
    """The cheaper of two that are drawn at random (Mitzenmacher, "The Power of Two Choices", 2001)."""

    name: ClassVar[str] = "two_choices"

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        a = int(random.integers(len(slots)))
        b = (a + int(random.integers(1, len(slots)))) % len(slots) if len(slots) > 1 else a
        return int(slots[a] if costs[a] <= costs[b] else slots[b])


@dataclass(frozen=True)
class RoundRobin:
    """The one that has not been given a request for longest, whatever it costs."""

    name: ClassVar[str] = "round_robin"

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        return _longest_ago(fleet, slots, random)


@dataclass(frozen=True)
class AnyOne:
    """Any, at random."""

    name: ClassVar[str] = "random"

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        return int(slots[random.integers(len(slots))])


@dataclass(frozen=True)
class Softmax:
    """At random, with probabilities as exp(-cost / temperature): routers that do not know of each other's latest
    decisions then do not all make the same."""

    temperature: float = 0.1
    name: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        if not 1e-6 <= self.temperature <= 1e6:
            raise ValueError(f"temperature is {self.temperature}; allowed: 1e-6 to 1e6")

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        sums = np.cumsum(np.exp((costs.min() - costs) / self.temperature))
        found = int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
        return int(slots[min(found, len(slots) - 1)])


def _longest_ago(fleet: Fleet, slots: np.ndarray, random: np.random.Generator) -> int:
    given = fleet.last_given[slots]
    first = np.flatnonzero(given == given.min())
    return int(slots[first[random.integers(len(first))] if len(first) > 1 else first[0]])


PICKERS: dict[str, type] = {p.name: p for p in (Least, TwoChoices, Softmax, RoundRobin, AnyOne)}
