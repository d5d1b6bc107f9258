"""Requests in order of arrival: those that wait, and those that run."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator

from sapwood.engine.request import Request


def _arrival(request: Request) -> int:
    return request.arrival


class WaitingQueue:
    """Waiting requests. Adding and removing new ones is O(1), also from the middle of thousands.

    Requests that ran before go back to their place in the order; there are at most max_num_seqs at a time, so a
    sorted list holds them. (An OrderedDict and not a dict: finding the first entry of a dict takes a walk over all
    that were deleted before it.)

    num_tokens: tokens of all requests in the queue.
    """

    def __init__(self) -> None:
        self._new: OrderedDict[str, Request] = OrderedDict()
        self._preempted: list[Request] = []
        self.num_tokens = 0

    def __len__(self) -> int:
        return len(self._new) + len(self._preempted)

    def __iter__(self) -> Iterator[Request]:
        """In order of arrival. The queue must not change meanwhile."""
        return heapq.merge(self._preempted, self._new.values(), key=_arrival)

    def append(self, request: Request) -> None:
        """Add a new request, which arrived after all others."""
        self._new[request.request_id] = request
        self.num_tokens += request.num_tokens

    def put_back(self, request: Request) -> None:
        """Add a request that was preempted."""
        insort(self._preempted, request, key=_arrival)
        self.num_tokens += request.num_tokens

    def remove(self, request: Request) -> None:
        """Take out a request. Raises KeyError if it is not there."""
        if self._new.get(request.request_id) is request:
            del self._new[request.request_id]
        else:
            _remove(self._preempted, request)
        self.num_tokens -= request.num_tokens


class RunningList(list[Request]):
    """Running requests, sorted by arrival."""

    def add(self, request: Request) -> None:
        """Add at its place."""
        insort(self, request, key=_arrival)

    def discard(self, request: Request) -> None:
        """Take out a request. Raises KeyError if it is not there."""
        _remove(self, request)


def _remove(requests: list[Request], request: Request) -> None:
    index = bisect_left(requests, request.arrival, key=_arrival)
    if index == len(requests) or requests[index] is not request:
        raise KeyError(request.request_id)
    del requests[index]
