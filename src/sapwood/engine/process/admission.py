"""Whether a request may queue: by the length of the queue, and by how long it would wait there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sapwood.engine.client import EngineOverloadedError

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

    The rate of the queue is measured where it ends: prompt tokens of requests that got their first token, over the time
    in which some request waited for its own. That holds whatever the queue waits for (computing prompts, a free place,
    free blocks), and says nothing about an engine that keeps up.

    max_num_queued: texts that may wait besides the max_num_seqs that run. max_queue_seconds: estimated wait of a new
    request for its first token.
    """

    def __init__(self, max_num_seqs: int, max_num_queued: int, max_queue_seconds: float) -> None:
        self.max_num_seqs = max_num_seqs
        self.max_num_queued = max_num_queued
        self.max_queue_seconds = max_queue_seconds
        self._tokens = self._seconds = 0.0
        self._measured_at: float | None = None

    def check(self, num_texts: int, load: Load) -> None:
        """Raise EngineOverloadedError if a request of so many texts is not to be queued now."""
        wait = self.estimated_wait(load.num_queued_tokens)
        queued = load.num_unfinished - load.num_running
        total = load.num_unfinished + num_texts
        full = total > self.max_num_seqs + self.max_num_queued
        # With nobody waiting in the engine, what it does not run yet is on its way there and not queued.
        full = full or (load.num_waiting > 0 and queued + num_texts > self.max_num_queued)
        if full and load.num_unfinished:
            raise EngineOverloadedError(
                f"the queue is full: {queued} requests wait; allowed: {self.max_num_queued}",
                self._retry_after(wait / 4),
            )
        if wait > self.max_queue_seconds:
            raise EngineOverloadedError(
                f"a new request would wait about {wait:.0f} s; allowed: {self.max_queue_seconds:g} s",
                self._retry_after(wait - self.max_queue_seconds),
            )

    def estimated_wait(self, num_queued_tokens: int) -> float:
        """Seconds until so many prompt tokens have left the queue; 0 while nothing is known."""
        if self._seconds < _LEAST_SECONDS:
            return 0.0
        return num_queued_tokens * self._seconds / max(self._tokens, 1.0)

    def measure(self, now: float, served_tokens: int, waiting: bool) -> None:
        """Called after every step: prompt tokens of requests that got their first token, whether some wait still."""
        if self._measured_at is not None:
            elapsed = now - self._measured_at
            keep = math.exp2(-elapsed / _HALF_LIFE_SECONDS)
            self._seconds = self._seconds * keep + elapsed
            self._tokens = self._tokens * keep + served_tokens
        self._measured_at = now if waiting else None

    def begin(self, now: float) -> None:
        """Called when a request begins to wait."""
        if self._measured_at is None:
            self._measured_at = now

    def reset(self) -> None:
        """Forget what was measured: another engine process has begun."""
        self._tokens = self._seconds = 0.0
        self._measured_at = None

    @staticmethod
    def _retry_after(seconds: float) -> float:
        return min(max(seconds, 1.0), _MAX_RETRY_SECONDS)
