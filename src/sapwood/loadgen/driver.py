"""Closed and open loops over conversations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from sapwood.loadgen.record import RequestRecord
from sapwood.loadgen.workload import Conversation, Turn

MAX_RETRY_AFTER = 10.0

#: sends one request: (turn, the exchange so far as alternating user and assistant texts) to a record
Send = Callable[[Turn, list[str], RequestRecord], Awaitable[None]]


class Clock(Protocol):
    def now(self) -> float: ...

    async def sleep_until(self, when: float) -> None: ...


class RealClock:
    """Seconds since it was made, or started again between two runs."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def restart(self) -> None:
        self._start = time.perf_counter()

    def now(self) -> float:
        return time.perf_counter() - self._start

    async def sleep_until(self, when: float) -> None:
        await asyncio.sleep(max(0.0, when - self.now()))


@dataclass
class Run:
    """One run of a load: what was sent so far. Its records are complete once `closed_loop` or `open_loop` ends.

    duration: seconds after which no conversation and no turn begins any more; what runs then is waited for.
    """

    send: Send
    clock: Clock
    duration: float | None = None
    think_time: float = 0.0
    records: list[RequestRecord] = field(default_factory=list)
    active: int = 0

    def over(self) -> bool:
        return self.duration is not None and self.clock.now() >= self.duration

    async def closed_loop(self, conversations: Iterable[Conversation], concurrency: int) -> None:
        """`concurrency` clients, each with one request at a time; a refused one waits as Retry-After asks."""
        source = iter(conversations)

        async def client() -> None:
            while not self.over():
                conversation = next(source, None)
                if conversation is None:
                    return
                last = await self._converse(conversation, None)
                if last is not None and last.error == "refused":
                    wait = min(last.retry_after or 0.0, MAX_RETRY_AFTER)
                    if self.duration is not None:
                        wait = min(wait, max(0.0, self.duration - self.clock.now()))
                    await self.clock.sleep_until(self.clock.now() + wait)

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(client())

    async def open_loop(self, conversations: Iterable[Conversation], times: Iterator[float]) -> None:
        """A conversation begins at each of `times`, whatever became of the earlier ones."""
        async with asyncio.TaskGroup() as group:
            for conversation, when in zip(conversations, times, strict=False):
                if self.duration is not None and when >= self.duration:
                    return
                await self.clock.sleep_until(when)
                group.create_task(self._converse(conversation, when))

    async def _converse(self, conversation: Conversation, scheduled: float | None) -> RequestRecord | None:
        """Turn by turn; a failed turn ends it, as a person would give up. Returns the last record."""
        exchange: list[str] = []
        record = None
        for number, turn in enumerate(conversation.turns):
            if number:
                await self.clock.sleep_until(self.clock.now() + self.think_time)
                if self.over():
                    break
            record = RequestRecord(scheduled=scheduled if number == 0 else None, turn=number)
            self.records.append(record)
            self.active += 1
            try:
                await self.send(turn, exchange, record)
            finally:
                self.active -= 1
            if not record.ok:
                break
            exchange += [turn.text, record.text]
            record.text = ""
        return record
