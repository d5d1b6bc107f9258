"""The pool of KV cache blocks: who is free, who is referenced, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class BlockPoolError(RuntimeError):
    """The engine broke a rule of the pool, such as freeing a block twice. Never a user's fault."""


class KVCacheBlock:
    """One block. `ref_cnt` sequences read it; it is in the free list exactly when that is 0."""

    __slots__ = ("block_id", "next_free", "prev_free", "ref_cnt")

    def __init__(self, block_id: int) -> None:
        self.block_id = block_id
        self.ref_cnt = 0
        self.prev_free: KVCacheBlock | None = None
        self.next_free: KVCacheBlock | None = None

    def __repr__(self) -> str:
        return f"KVCacheBlock({self.block_id}, ref_cnt={self.ref_cnt})"


class FreeBlockQueue:
    """Free blocks, least recently freed first: an intrusive ring with one sentinel.

    Intrusive, so that taking a block out of the middle is O(1): a cache hit on a free block does that.
    """

    def __init__(self) -> None:
        self._ring = KVCacheBlock(-1)
        self._ring.prev_free = self._ring.next_free = self._ring
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[KVCacheBlock]:
        block = self._ring.next_free
        while block is not None and block is not self._ring:
            yield block
            block = block.next_free

    def append(self, block: KVCacheBlock) -> None:
        """Add at the back. Raises BlockPoolError if the block is in the list already."""
        if block.next_free is not None:
            raise BlockPoolError(f"block {block.block_id} is in the free list already")
        last = self._ring.prev_free
        assert last is not None
        last.next_free = block
        block.prev_free, block.next_free = last, self._ring
        self._ring.prev_free = block
        self._count += 1

    def remove(self, block: KVCacheBlock) -> None:
        """Take out one block from anywhere. Raises BlockPoolError if it is not in the list."""
        before, after = block.prev_free, block.next_free
        if before is None or after is None:
            raise BlockPoolError(f"block {block.block_id} is not in the free list")
        before.next_free, after.prev_free = after, before
        block.prev_free = block.next_free = None
        self._count -= 1

    def popleft(self) -> KVCacheBlock:
        """Take out the block that has been free for longest. Raises BlockPoolError if there is none."""
        block = self._ring.next_free
        if block is None or block is self._ring:
            raise BlockPoolError("the free list is empty")
        self.remove(block)
        return block


class BlockPool:
    """`num_blocks` blocks with ids from 0. Always: free + referenced == num_blocks."""

    def __init__(self, num_blocks: int) -> None:
        if num_blocks < 1:
            raise ValueError(f"num_blocks is {num_blocks}; allowed: at least 1")
        self.blocks = [KVCacheBlock(i) for i in range(num_blocks)]
        self.free_queue = FreeBlockQueue()
        for block in self.blocks:
            self.free_queue.append(block)

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    @property
    def num_free_blocks(self) -> int:
        return len(self.free_queue)

    @property
    def usage(self) -> float:
        """Referenced share of the pool, 0 to 1."""
        return 1.0 - self.num_free_blocks / self.num_blocks

    def get_new_blocks(self, count: int) -> list[KVCacheBlock]:
        """Take `count` free blocks, each with ref_cnt 1. Raises BlockPoolError if there are fewer."""
        if count > self.num_free_blocks:
            raise BlockPoolError(
                f"{count} blocks asked for, {self.num_free_blocks} of {self.num_blocks} are free"
            )
        taken = [self.free_queue.popleft() for _ in range(count)]
        for block in taken:
            block.ref_cnt = 1
        return taken

    def touch(self, blocks: Iterable[KVCacheBlock]) -> None:
        """Add one reference to each block, taking it out of the free list if it was there."""
        for block in blocks:
            if block.ref_cnt == 0:
                self.free_queue.remove(block)
            block.ref_cnt += 1

    def free_blocks(self, blocks: Iterable[KVCacheBlock]) -> None:
        """Drop one reference of each block; at 0 it goes to the back of the free list, in the order given.

        Raises BlockPoolError for a block that has no reference.
        """
        for block in blocks:
            if block.ref_cnt <= 0:
                raise BlockPoolError(f"block {block.block_id} was freed twice")
            block.ref_cnt -= 1
            if block.ref_cnt == 0:
                self.free_queue.append(block)

    def problems(self) -> list[str]:
        """What is wrong with the pool, in words; empty when it is sound. O(num_blocks)."""
        found: list[str] = []
        free = [block.block_id for block in self.free_queue]
        if len(set(free)) != len(free):
            found.append("a block is twice in the free list")
        if len(free) != len(self.free_queue):
            found.append(f"the free list counts {len(self.free_queue)} blocks and holds {len(free)}")
        unreferenced = {block.block_id for block in self.blocks if block.ref_cnt == 0}
        if leaked := unreferenced - set(free):
            found.append(f"blocks {sorted(leaked)} are neither free nor referenced")
        if shared := set(free) - unreferenced:
            found.append(f"blocks {sorted(shared)} are free and referenced")
        return found
