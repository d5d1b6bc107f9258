"""The pool of KV cache blocks: who is free, who is referenced and how often, and which contents are known by name.

A free block keeps its contents and its name until it is taken for something else, so the free list is also the
prefix cache's order of eviction: blocks without a name first, then the one that was freed longest ago.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sapwood.engine.kv_events import KVEventBuffer


class BlockPoolError(RuntimeError):
    """The engine broke a rule of the pool, such as freeing a block twice. Never a user's fault."""


class KVCacheBlock:
    """One block. `ref_cnt` sequences read it; it is in the free list exactly when that is 0.

    block_hash: the name of its contents (see `block_hash`), once it is full and computed; never written again then.
    """

    __slots__ = ("block_hash", "block_id", "next_free", "prev_free", "ref_cnt")

    def __init__(self, block_id: int) -> None:
        self.block_id = block_id
        self.ref_cnt = 0
        self.block_hash: bytes | None = None
        self.prev_free: KVCacheBlock | None = None
        self.next_free: KVCacheBlock | None = None

    def __repr__(self) -> str:
        return f"KVCacheBlock({self.block_id}, ref_cnt={self.ref_cnt})"


class FreeBlockQueue:
    """Free blocks in the order in which they will be taken: an intrusive ring with one sentinel.

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
        self._insert(block, self._ring)

    def appendleft(self, block: KVCacheBlock) -> None:
        """Add at the front. Raises BlockPoolError if the block is in the list already."""
        assert self._ring.next_free is not None
        self._insert(block, self._ring.next_free)

    def _insert(self, block: KVCacheBlock, after: KVCacheBlock) -> None:
        if block.next_free is not None:
            raise BlockPoolError(f"block {block.block_id} is in the free list already")
        before = after.prev_free
        assert before is not None
        before.next_free = after.prev_free = block
        block.prev_free, block.next_free = before, after
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


class PrefixIndex:
    """From a name to the blocks that hold those contents. Two requests that computed the same thing made two.

    events: is told when a name comes and when its last block goes.
    """

    def __init__(self, events: KVEventBuffer | None = None) -> None:
        self._blocks: dict[bytes, list[KVCacheBlock]] = {}
        self._events = events

    def __len__(self) -> int:
        """The number of different names."""
        return len(self._blocks)

    @property
    def names(self) -> Collection[bytes]:
        """All names, in the order in which they came; a view."""
        return self._blocks.keys()

    def get(self, block_hash: bytes) -> KVCacheBlock | None:
        """The block that has had this name for longest, or None."""
        found = self._blocks.get(block_hash)
        return found[0] if found else None

    def add(self, block: KVCacheBlock, block_hash: bytes) -> None:
        """Name a block. Raises BlockPoolError if it has a name."""
        if block.block_hash is not None:
            raise BlockPoolError(f"block {block.block_id} has a name already")
        block.block_hash = block_hash
        same = self._blocks.get(block_hash)
        if same is not None:
            same.append(block)
            return
        self._blocks[block_hash] = [block]
        if self._events is not None:
            self._events.stored(block_hash)

    def discard(self, block: KVCacheBlock) -> None:
        """Take away the name of this block and of no other; does nothing if it has none."""
        if block.block_hash is None:
            return
        same = self._blocks.get(block.block_hash, [])
        if block not in same:
            raise BlockPoolError(f"block {block.block_id} has a name that the index does not know")
        same.remove(block)
        if not same:
            del self._blocks[block.block_hash]
            if self._events is not None:
                self._events.removed(block.block_hash)
        block.block_hash = None

    def entries(self) -> Iterator[tuple[bytes, KVCacheBlock]]:
        """All names and blocks."""
        for block_hash, blocks in self._blocks.items():
            for block in blocks:
                yield block_hash, block


class BlockPool:
    """`num_blocks` blocks with ids from 0. Always: free + referenced == num_blocks.

    num_references: the sum of all reference counts. events: is told of names that come and go; a new pool begins with
    none, which its maker tells.
    """

    def __init__(self, num_blocks: int, events: KVEventBuffer | None = None) -> None:
        if num_blocks < 1:
            raise ValueError(f"num_blocks is {num_blocks}; allowed: at least 1")
        self.blocks = [KVCacheBlock(i) for i in range(num_blocks)]
        self.free_queue = FreeBlockQueue()
        self.index = PrefixIndex(events)
        self.num_references = 0
        self._num_referenced = 0
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
        """Take `count` free blocks, each with ref_cnt 1 and no name. Raises BlockPoolError if there are fewer."""
        if count > self.num_free_blocks:
            raise BlockPoolError(f"{count} blocks asked for, {self.num_free_blocks} of {self.num_blocks} are free")
        taken = [self.free_queue.popleft() for _ in range(count)]
        for block in taken:
            self.index.discard(block)
            block.ref_cnt = 1
        self.num_references += count
        self._num_referenced += count
        return taken

    def touch(self, blocks: Iterable[KVCacheBlock]) -> None:
        """Add one reference to each block, taking it out of the free list if it was there."""
        for block in blocks:
            if block.ref_cnt == 0:
                self.free_queue.remove(block)
                self._num_referenced += 1
            block.ref_cnt += 1
            self.num_references += 1

    def free_blocks(self, blocks: Iterable[KVCacheBlock]) -> None:
        """Drop one reference of each block; at 0 it is free: at the back in the order given if it has a name, else
        at the front.

        Raises BlockPoolError for a block that has no reference.
        """
        for block in blocks:
            if block.ref_cnt <= 0:
                raise BlockPoolError(f"block {block.block_id} was freed twice")
            block.ref_cnt -= 1
            self.num_references -= 1
            if block.ref_cnt == 0:
                self._num_referenced -= 1
                if block.block_hash is None:
                    self.free_queue.appendleft(block)
                else:
                    self.free_queue.append(block)

    def forget_free_blocks(self) -> int:
        """Take away the names of all blocks that nobody references; how many had one."""
        count = 0
        for block in self.free_queue:
            count += block.block_hash is not None
            self.index.discard(block)
        return count

    @property
    def balances(self) -> bool:
        """Whether the counts add up. O(1); `damage` looks at every block."""
        return self.num_free_blocks + self._num_referenced == self.num_blocks

    def damage(self) -> dict[int, str]:
        """Ids of blocks that break a rule of the pool, and what is wrong with them. O(num_blocks)."""
        found: dict[int, str] = {}
        free: set[int] = set()
        count = 0
        for block in self.free_queue:
            count += 1
            if count > self.num_blocks:  # a ring that does not close
                break
            if block.block_id in free:
                found[block.block_id] = "is twice in the free list"
            free.add(block.block_id)
        named = {id(block): block_hash for block_hash, block in self.index.entries()}
        for block in self.blocks:
            if block.ref_cnt < 0:
                found[block.block_id] = f"has {block.ref_cnt} references"
            elif block.ref_cnt == 0 and block.block_id not in free:
                found[block.block_id] = "is neither free nor referenced"
            elif block.ref_cnt > 0 and block.block_id in free:
                found[block.block_id] = "is free and referenced"
            elif block.block_hash != named.pop(id(block), None):
                found[block.block_id] = "is not in the index under its name"
        return found

    def miscounts(self) -> list[str]:
        """Which counts of the pool differ from its blocks, in words. O(num_blocks)."""
        found: list[str] = []
        free = 0
        for _ in self.free_queue:
            free += 1
            if free > self.num_blocks:
                break
        if free != len(self.free_queue):
            found.append(f"the free list counts {len(self.free_queue)} blocks and holds {free}")
        entries = sum(1 for _ in self.index.entries())
        if entries != (named := sum(block.block_hash is not None for block in self.blocks)):
            found.append(f"the index has {entries} entries for {named} named blocks")
        references = sum(block.ref_cnt for block in self.blocks)
        if references != self.num_references or not self.balances:
            found.append(f"the pool counts {self.num_references} references, its blocks have {references}")
        return found

    def problems(self) -> list[str]:
        """What is wrong with the pool, in words; empty when it is sound. O(num_blocks)."""
        return [f"block {block_id} {what}" for block_id, what in self.damage().items()] + self.miscounts()
