"""Filter: which replicas may get a request at all. A filter is a frozen dataclass with its options."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from sapwood.cluster.routing.fleet import Fleet
from sapwood.cluster.routing.request import RoutingRequest


@dataclass(frozen=True)
class Candidate:
    """What filters and scorers look at: a request, and of each slot how many of its prompt tokens are cached there.

    exclude: replicas that have failed it.
    """

    request: RoutingRequest
    fleet: Fleet
    cached: np.ndarray
    expected_output: int
    exclude: Collection[str] = ()

    @property
    def uncached(self) -> np.ndarray:
        """Prompt tokens that each slot would have to compute."""
        return self.request.num_tokens - self.cached


class Filter(Protocol):
    name: ClassVar[str]

    def keep(self, c: Candidate, left: np.ndarray) -> np.ndarray:
        """For each slot whether it stays, bool; `left` are those that filters before this one have kept."""
        ...


@dataclass(frozen=True)
class Ready:
    """Replicas that take requests, and have not failed this one."""

    name: ClassVar[str] = "ready"

    def keep(self, c: Candidate, left: np.ndarray) -> np.ndarray:
        keep = c.fleet.ready
        gone = [slot for r in c.exclude if (slot := c.fleet.slot_of.get(r)) is not None]
        if gone:
            keep = keep.copy()
            keep[gone] = False
        return keep


@dataclass(frozen=True)
class ServesModel:
    """Replicas of the model that the request names."""

    name: ClassVar[str] = "model"

    def keep(self, c: Candidate, left: np.ndarray) -> np.ndarray:
        return c.fleet.model == c.fleet.number_of_model(c.request.model)


@dataclass(frozen=True)
class FitsContext:
    """Replicas whose context holds the prompt and a token behind it; engines limit the output to what is left."""

    name: ClassVar[str] = "context"

    def keep(self, c: Candidate, left: np.ndarray) -> np.ndarray:
        return c.fleet.max_model_len > c.request.num_tokens


@dataclass(frozen=True)
class FitsCache:
    """Replicas whose KV cache has room for the prompt besides what runs there, up to a share of it.

    Where none has, all may have it: it waits in the engine then, and not here.
    """

    ceiling: float = 0.95
    name: ClassVar[str] = "cache"

    def __post_init__(self) -> None:
        if not 0 < self.ceiling <= 1:
            raise ValueError(f"ceiling is {self.ceiling}; allowed: above 0, at most 1")

    def keep(self, c: Candidate, left: np.ndarray) -> np.ndarray:
        keep = c.fleet.held + c.fleet.other_held + c.uncached <= self.ceiling * c.fleet.capacity
        return keep if np.count_nonzero(keep & left) else left


FILTERS: dict[str, type] = {f.name: f for f in (Ready, ServesModel, FitsContext, FitsCache)}
