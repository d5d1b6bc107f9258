"""Work for a client ends when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from sapwood.serve.body import ClientDisconnected

T = TypeVar("T")


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _settle(task: asyncio.Future[Any]) -> None:
    """Cancel and wait until it has cleaned up, whatever it raises then."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # marks it as seen


async def run_while_connected(receive: Receive, work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
    """The result of `work`. The body must have been read.

    When the client leaves first, `work` is cancelled, has cleaned up when this returns, and ClientDisconnected is
    raised. The same for a caller that is cancelled.
    """
    worker = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            return worker.result()
        raise ClientDisconnected
    finally:
        await _settle(watcher)
        await _settle(worker)
