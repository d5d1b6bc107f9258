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
    """The cheapest. Among those that cost hardly more (by `tolerance` of the least cost, or `slack`), the one that got
    its last request first: a strict minimum sends a whole burst to one replica while costs are near zero."""

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
        return int(near[np.argmin(fleet.last_given[near])])


@dataclass(frozen=True)
class TwoChoices:
    """The cheaper of two that are drawn at random (Mitzenmacher, "The Power of Two Choices", 2001)."""

    name: ClassVar[str] = "two_choices"

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        a, b = (int(random.integers(len(slots))) for _ in range(2))
        return int(slots[a] if costs[a] <= costs[b] else slots[b])


@dataclass(frozen=True)
class RoundRobin:
    """The one that has not been given a request for longest, whatever it costs."""

    name: ClassVar[str] = "round_robin"

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        return int(slots[np.argmin(fleet.last_given[slots])])


@dataclass(frozen=True)
class AnyOne:
    """Any, at random."""

    name: ClassVar[str] = "random"

    def pick(self, fleet: Fleet, slots: np.ndarray, costs: np.ndarray, random: np.random.Generator) -> int:
        return int(slots[random.integers(len(slots))])


PICKERS: dict[str, type] = {p.name: p for p in (Least, TwoChoices, RoundRobin, AnyOne)}
