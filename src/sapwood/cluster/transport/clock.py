"""Times of another machine, told by the clock of this one."""

from __future__ import annotations

import math

_FRESH_SECONDS = 60.0


class RemoteClock:
    """A replica's CLOCK_MONOTONIC against ours, from questions and answers, as NTP does (RFC 5905, section 8).

    The shortest round trip of the last minute counts: the error is at most half of it, and of clocks that may be the
    same, as on one machine, none.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self._round_trip = math.inf
        self._measured_at = 0.0

    def measure(self, sent: float, at: float, received: float) -> None:
        """The replica's clock stood at `at` some time between `sent` and `received` of ours."""
        round_trip = received - sent
        if round_trip > self._round_trip and received - self._measured_at < _FRESH_SECONDS:
            return
        self._round_trip, self._measured_at = round_trip, received
        least, most = at - received, at - sent
        self.offset = 0.0 if least <= 0.0 <= most else (least + most) / 2

    def local(self, at: float) -> float:
        """A time of the replica in ours."""
        return at - self.offset
