"""Named barriers: fifteen for each block, for some of its threads each."""

from __future__ import annotations

from sapwood.lang.function import fn
from sapwood.lang.ops.gpu.sync import named_barrier_arrive, named_barrier_sync
from sapwood.lang.structs import struct

NUMBERS = 15  # that barrier() does not use
WARP = 32  # hardware counts arrivals by warps


@fn(inline=True)
def check(number: int, count: int) -> None:
    if number < 1 or number > NUMBERS:
        raise ValueError("named barriers are 1 to 15, not", number)
    if count < WARP or count % WARP != 0:
        raise ValueError("a named barrier counts whole warps, not this number of threads:", count)


@struct(frozen=True)
class named_barrier:
    """A barrier of the block for `count` of its threads, a multiple of the warp's size; `id` is 1 to 15.

    It opens when so many have come, and then begins anew. All threads name the same count. Whole warps come: a thread
    that has returned does not. (PTX: `barrier.sync id, count`, `barrier.arrive`.)
    """

    id: int
    count: int

    def sync(self) -> None:
        """Come to the barrier and wait until it opens; what threads wrote before they came is seen after it.

        Raises ValueError for an id or a count that cannot be."""
        check(self.id, self.count)
        named_barrier_sync(self.id, self.count)

    def arrive(self) -> None:
        """Come to the barrier without waiting, as who has written what the others wait for. Raises as `sync` does."""
        check(self.id, self.count)
        named_barrier_arrive(self.id, self.count)
