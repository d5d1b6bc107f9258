"""Which blocks belong to which request, and which of them can be had without computing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sapwood.engine.block_pool import BlockPool, KVCacheBlock
from sapwood.engine.kv_events import KVEventBatch, KVEventBuffer


def cdiv(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


def check_capacity(num_blocks: int, block_size: int, max_model_len: int) -> None:
    """Raise ValueError unless the cache holds one sequence of max_model_len tokens."""
    capacity = num_blocks * block_size
    if capacity < max_model_len:
        raise ValueError(
            f"the KV cache holds {capacity} tokens ({num_blocks} blocks of {block_size}); needed: max_model_len, which "
            f"is {max_model_len}. Lower max_model_len or give the cache more memory"
        )


@dataclass(slots=True)
class _Table:
    """Blocks of one request in order, and their ids, which are read in every step.

    num_named: how many of them, from the first, have been through `cache_blocks`.
    """

    blocks: list[KVCacheBlock] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    num_named: int = 0


class KVCacheManager:
    """Block tables of running requests over one pool.

    block_size: tokens per block. A request's table grows at its end only; position p of the sequence is in
    table[p // block_size]. A full block with a name may be in many tables; a block that is still written is in one.
    kv_events: whether `take_kv_events` is going to be asked.
    """

    def __init__(self, num_blocks: int, block_size: int, *, kv_events: bool = False) -> None:
        if block_size < 1:
            raise ValueError(f"block_size is {block_size}; allowed: at least 1")
        self.block_size = block_size
        # More changes than blocks are dearer to tell than all names.
        self._events = KVEventBuffer(limit=max(num_blocks, 1)) if kv_events else None
        self.block_pool = BlockPool(num_blocks, self._events)
        self._tables: dict[str, _Table] = {}
        self._num_entries = 0

    @property
    def capacity(self) -> int:
        """Tokens that the whole cache holds."""
        return self.block_pool.num_blocks * self.block_size

    @property
    def usage(self) -> float:
        """Referenced share of the cache, 0 to 1."""
        return self.block_pool.usage

    def blocks_to_add(self, request_id: str, num_tokens: int) -> int:
        """New blocks that the request needs to hold `num_tokens` in total."""
        table = self._tables.get(request_id)
        return max(cdiv(num_tokens, self.block_size) - (len(table.ids) if table else 0), 0)

    def get_computed_blocks(self, block_hashes: Sequence[bytes], max_tokens: int) -> list[KVCacheBlock]:
        """The longest run of cached blocks from the first name on, of at most `max_tokens` tokens in all.

        Takes no references: use them (`allocate_slots`) before anything else is allocated.
        """
        found: list[KVCacheBlock] = []
        for block_hash in block_hashes[: max_tokens // self.block_size]:
            block = self.block_pool.index.get(block_hash)
            if block is None:
                break
            found.append(block)
        return found

    def fits(
        self, request_id: str, num_tokens: int, keep_free: int = 0, computed: Sequence[KVCacheBlock] = ()
    ) -> bool:
        """Whether `allocate_slots` would succeed. Changes nothing."""
        count = self.blocks_to_add(request_id, num_tokens) - len(computed)
        taken = count + sum(block.ref_cnt == 0 for block in computed)
        return not taken or taken + keep_free <= self.block_pool.num_free_blocks

    def allocate_slots(
        self, request_id: str, num_tokens: int, keep_free: int = 0, computed: Sequence[KVCacheBlock] = ()
    ) -> bool:
        """Make the request's table cover `num_tokens` positions in total, beginning with `computed` if it is new.

        Returns False, changing nothing, when that would leave fewer than `keep_free` blocks free.
        """
        pool = self.block_pool
        if computed and request_id in self._tables:
            raise ValueError(f"request {request_id!r} has blocks already; computed ones come first")
        count = self.blocks_to_add(request_id, num_tokens) - len(computed)
        if not count and not computed:
            return True
        if not self.fits(request_id, num_tokens, keep_free, computed):
            return False
        table = self._tables.setdefault(request_id, _Table())
        if computed:
            pool.touch(computed)  # before new ones are taken: these may be free, and must not be evicted
            table.num_named = len(computed)
        for blocks in (computed, pool.get_new_blocks(count)):
            table.blocks.extend(blocks)
            table.ids.extend(block.block_id for block in blocks)
            self._num_entries += len(blocks)
        return True

    def cache_blocks(self, request_id: str, block_hashes: Sequence[bytes], num_computed_tokens: int) -> None:
        """Give names to the blocks that are full now. `num_computed_tokens` counts positions of finished steps only."""
        table = self._tables[request_id]
        full = num_computed_tokens // self.block_size
        for i in range(table.num_named, full):
            self.block_pool.index.add(table.blocks[i], block_hashes[i])
        table.num_named = max(table.num_named, full)

    def num_named_blocks(self, request_id: str) -> int:
        """Blocks of the request, from the first, that have names."""
        table = self._tables.get(request_id)
        return table.num_named if table else 0

    def free(self, request_id: str) -> None:
        """Drop the request's references; does nothing if it has none.

        The tail goes first: blocks of the end of a sequence are then evicted before those of its
        beginning, which other sequences are likelier to share.
        """
        table = self._tables.pop(request_id, None)
        if table is not None:
            self._num_entries -= len(table.blocks)
            self.block_pool.free_blocks(reversed(table.blocks))

    def get_block_ids(self, request_id: str) -> list[int]:
        """The block table of a request, empty if it has none. A new list."""
        table = self._tables.get(request_id)
        return list(table.ids) if table else []

    def holders(self) -> tuple[str, ...]:
        """Ids of requests that hold blocks."""
        return tuple(self._tables)

    def reset(self) -> None:
        """Forget all tables and all names and start with a fresh pool, however damaged the old one was."""
        self._tables = {}
        self._num_entries = 0
        self.block_pool = BlockPool(self.block_pool.num_blocks, self._events)
        self.request_kv_snapshot()

    def take_kv_events(self) -> KVEventBatch | None:
        """What became of the names in the cache since the last call; None if nothing, or if nobody wanted to know."""
        return None if self._events is None else self._events.take(self.block_pool.index.names)

    def request_kv_snapshot(self) -> None:
        """Have the next events say everything."""
        if self._events is not None:
            self._events.request_snapshot()

    def reset_prefix_cache(self) -> int:
        """Forget every cached block that no request reads; how many there were."""
        return self.block_pool.forget_free_blocks()

    @property
    def balances(self) -> bool:
        """Whether free and referenced blocks, and references and entries of tables, add up. O(1)."""
        return self.block_pool.balances and self.block_pool.num_references == self._num_entries

    def damage(self) -> dict[int, str]:
        """Ids of blocks that are leaked or damaged, and what is wrong with them. O(num_blocks)."""
        counts: dict[int, int] = {}
        for table in self._tables.values():
            for block in table.blocks:
                counts[block.block_id] = counts.get(block.block_id, 0) + 1
        found = self.block_pool.damage()
        for block in self.block_pool.blocks:
            count = counts.get(block.block_id, 0)
            if block.ref_cnt != count:
                found.setdefault(block.block_id, f"has {block.ref_cnt} references and is in {count} tables")
        return found

    def problems(self) -> list[str]:
        """What is wrong, in words; empty when every reference is an entry of a table."""
        found = [f"block {block_id} {what}" for block_id, what in self.damage().items()]
        found += self.block_pool.miscounts()
        if self._num_entries != (entries := sum(len(table.blocks) for table in self._tables.values())):
            found.append(f"the tables count {self._num_entries} blocks and hold {entries}")
        return found
