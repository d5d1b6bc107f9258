"""What is known of one request when it is over."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

#: kinds of errors, with what each means
ERROR_KINDS = {
    "refused": "HTTP 429 or 503: the server takes no more now",
    "http": "another HTTP status than 200",
    "connect": "no connection, or it broke before the answer began",
    "timeout": "not complete within the time limit",
    "malformed": "not HTTP, not an event stream, or not the API's JSON",
    "stream": "the server sent an error in the stream",
    "cut": "the stream ended before it was complete",
    "empty": "a complete answer without a token",
}


@dataclass(slots=True)
class RequestRecord:
    """Times are seconds on the clock of the run, counted from its start.

    scheduled: when an open loop meant to send it. start: just before it was sent. token_times: arrivals of the
    chunks that carried output. end: when the response, of whatever kind, was over. error: a key of ERROR_KINDS.
    """

    start: float = 0.0
    scheduled: float | None = None
    end: float = 0.0
    token_times: list[float] = field(default_factory=list)
    status: int | None = None
    error: str | None = None
    message: str = ""
    retry_after: float | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    turn: int = 0
    text: str = ""

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def output_tokens(self) -> int:
        """By the server's `usage`; by chunks where it sends none."""
        return len(self.token_times) if self.completion_tokens is None else self.completion_tokens

    @property
    def ttft(self) -> float:
        """Time to first token: from sending to the first chunk with output, seconds."""
        return self.token_times[0] - self.start

    @property
    def e2el(self) -> float:
        """End-to-end latency: from sending to the last chunk with output, seconds."""
        return self.token_times[-1] - self.start

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first, seconds; None where there was only one."""
        tokens = self.output_tokens
        return (self.e2el - self.ttft) / (tokens - 1) if tokens > 1 else None

    @property
    def itls(self) -> list[float]:
        """Inter-token latencies: between one chunk with output and the next, seconds."""
        times = self.token_times
        return [b - a for a, b in itertools.pairwise(times)]

    def fail(self, kind: str, message: str) -> None:
        """The first error is the one that counts."""
        if self.error is None:
            self.error, self.message = kind, " ".join(message.split())[:300]
