"""What is compared: the policy of the project, what others do, and one that knows where everything is."""

from __future__ import annotations

from sapwood.cluster.routing.filters import FitsContext, Ready, ServesModel
from sapwood.cluster.routing.pickers import AnyOne, Least, RoundRobin, TwoChoices
from sapwood.cluster.routing.policy import Policy
from sapwood.cluster.routing.scorers import OpenRequests, UncachedShare

_FITTING = (Ready(), ServesModel(), FitsContext())

POLICIES: dict[str, Policy] = {
    "default": Policy(),
    "least_load": Policy(_FITTING, ((OpenRequests(), 1.0),), Least(tolerance=0.0, slack=0.0)),
    "round_robin": Policy(_FITTING, (), RoundRobin()),
    "two_choices": Policy(_FITTING, ((OpenRequests(), 1.0),), TwoChoices()),
    "random": Policy(_FITTING, (), AnyOne()),
    "longest_prefix": Policy(_FITTING, ((UncachedShare(), 1.0), (OpenRequests(), 1e-9)), Least(0.0, 0.0)),
}
"""least_load counts open requests. longest_prefix goes where most of a prompt is cached, however long the queue is."""
