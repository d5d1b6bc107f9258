"""Which blocks belong to which request."""

from __future__ import annotations

from dataclasses import dataclass, field

from sapwood.engine.block_pool import BlockPool, KVCacheBlock


def cdiv(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


@dataclass(slots=True)
class _Table:
    """Blocks of one request in order, and their ids, which are read in every step."""

    blocks: list[KVCacheBlock] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


class KVCacheManager:
    """Block tables of running requests over one pool.

    block_size: tokens per block. A request's table grows at its end only; position p of the sequence is in
    table[p // block_size].
    """

    def __init__(self, num_blocks: int, block_size: int) -> None:
        if block_size < 1:
            raise ValueError(f"block_size is {block_size}; allowed: at least 1")
        self.block_size = block_size
        self.block_pool = BlockPool(num_blocks)
        self._tables: dict[str, _Table] = {}

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

    def allocate_slots(self, request_id: str, num_tokens: int, keep_free: int = 0) -> bool:
        """Make the request's table cover `num_tokens` positions in total.

        Returns False, changing nothing, when that would leave fewer than `keep_free` blocks free.
        """
        count = self.blocks_to_add(request_id, num_tokens)
        if count and count + keep_free > self.block_pool.num_free_blocks:
            return False
        if count:
            table = self._tables.setdefault(request_id, _Table())
            new = self.block_pool.get_new_blocks(count)
            table.blocks.extend(new)
            table.ids.extend(block.block_id for block in new)
        return True

    def free(self, request_id: str) -> None:
        """Drop the request's references; does nothing if it has none.

        The tail goes first: blocks of the end of a sequence are then reused before those of its
        beginning, which other sequences are likelier to share.
        """
        table = self._tables.pop(request_id, None)
        if table is not None:
            self.block_pool.free_blocks(reversed(table.blocks))

    def get_block_ids(self, request_id: str) -> list[int]:
        """The block table of a request, empty if it has none. A new list."""
        table = self._tables.get(request_id)
        return list(table.ids) if table else []

    def holders(self) -> tuple[str, ...]:
        """Ids of requests that hold blocks."""
        return tuple(self._tables)

    def reset(self) -> None:
        """Forget all tables and start with a fresh pool, however damaged the old one was."""
        self._tables = {}
        self.block_pool = BlockPool(self.block_pool.num_blocks)

    def problems(self) -> list[str]:
        """What is wrong, in words; empty when every reference is an entry of a table."""
        counts: dict[int, int] = {}
        for table in self._tables.values():
            for block in table.blocks:
                counts[block.block_id] = counts.get(block.block_id, 0) + 1
        wrong = [b.block_id for b in self.block_pool.blocks if b.ref_cnt != counts.get(b.block_id, 0)]
        found = [f"blocks {wrong} have references that no table accounts for"] if wrong else []
        return found + self.block_pool.problems()
