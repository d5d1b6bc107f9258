"""Whether a request may queue: by the length of the queue, and by how long it would wait there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sapwood.engine.client import EngineOverloadedError
from sapwood.engine.process.messages import EngineStats

_MAX_RETRY_SECONDS = 60.0
#: what was measured counts half after so many seconds in which someone waited
_HALF_LIFE_SECONDS = 10.0
#: less than this has been seen of the queue: too little to refuse anybody for
_LEAST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do. Texts: `num_running` of `num_unfinished` run, the engine says that `num_waiting` wait.

    num_queued_tokens: prompt tokens of requests that have brought no token yet.
    """

    num_unfinished: int
    num_running: int
    num_waiting: int
    num_queued_tokens: int


class Admission:
    """Refuses what would wait too long, from measurements that need no answer of the engine.

    The rate of the queue is measured where it ends and only while the engine lets somebody wait: prompt tokens of
    requests that got their first token, over that time. So it holds whatever the queue waits for: prompts that are
    computed, a place among those that run, free blocks. Until the first of them is through, the tokens of all steps
    stand in for it.

    max_num_queued: texts that may wait besides the max_num_seqs that run. max_queue_seconds: estimated wait of a new
    request for its first token.
    """

    def __init__(self, max_num_seqs: int, max_num_queued: int, max_queue_seconds: float) -> None:
        self.max_num_seqs = max_num_seqs
        self.max_num_queued = max_num_queued
        self.max_queue_seconds = max_queue_seconds
        self.reset()

    def reset(self) -> None:
        """Forget what was measured: another engine process has begun."""
        self._served = self._batched = self._seconds = 0.0  # each counts half after _HALF_LIFE_SECONDS of waiting
        self._last: EngineStats | None = None
        self._last_at = 0.0

    def check(self, num_texts: int, load: Load) -> None:
        """Raise EngineOverloadedError if a request of so many texts is not to be queued now."""
        if not load.num_unfinished:
            return
        wait = self.estimated_wait(load)
        queued = load.num_unfinished - load.num_running
        full = load.num_unfinished + num_texts > self.max_num_seqs + self.max_num_queued
        # While nobody waits in the engine, what it does not run yet is on its way there and not queued.
        if full or (load.num_waiting > 0 and queued + num_texts > self.max_num_queued):
            raise EngineOverloadedError(
                f"the queue is full: {queued} requests wait; allowed: {self.max_num_queued}",
                _bounded(wait / 4),
            )
        if wait > self.max_queue_seconds:
            raise EngineOverloadedError(
                f"a new request would wait about {wait:.0f} s; allowed: {self.max_queue_seconds:g} s",
                _bounded(wait - self.max_queue_seconds),
            )

    def estimated_wait(self, load: Load) -> float:
        """Seconds until what is queued has got its first token; 0 while nobody waits or nothing is known."""
        if load.num_waiting == 0 or self._seconds < _LEAST_SECONDS:
            return 0.0
        return load.num_queued_tokens * self._seconds / max(self._served or self._batched, 1.0)

    def measure(self, at: float, served_tokens: int, stats: EngineStats) -> None:
        """Called for every step: when it ended, and the prompt tokens of requests that it gave their first token."""
        last, elapsed = self._last, at - self._last_at
        self._last, self._last_at = stats, at
        if last is None or last.num_waiting == 0 or elapsed < 0:
            return
        keep = math.exp2(-elapsed / _HALF_LIFE_SECONDS)
        self._seconds = self._seconds * keep + elapsed
        self._served = self._served * keep + served_tokens
        self._batched = self._batched * keep + (stats.num_batched_tokens - last.num_batched_tokens)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 1.0), _MAX_RETRY_SECONDS)
