"""Block pool and cache manager: counts, order, and rules that must not be broken silently."""

from __future__ import annotations

import pytest

from sapwood.engine.block_pool import BlockPool, BlockPoolError, FreeBlockQueue, KVCacheBlock
from sapwood.engine.kv_cache_manager import KVCacheManager


def test_queue_removes_from_anywhere() -> None:
    queue, blocks = FreeBlockQueue(), [KVCacheBlock(i) for i in range(5)]
    for block in blocks:
        queue.append(block)
    queue.remove(blocks[2])
    queue.remove(blocks[0])
    queue.remove(blocks[4])
    assert [b.block_id for b in queue] == [1, 3] and len(queue) == 2
    queue.append(blocks[0])
    assert [queue.popleft().block_id for _ in range(3)] == [1, 3, 0]
    with pytest.raises(BlockPoolError, match="empty"):
        queue.popleft()
    with pytest.raises(BlockPoolError, match="not in the free list"):
        queue.remove(blocks[2])
    queue.append(blocks[2])
    with pytest.raises(BlockPoolError, match="already"):
        queue.append(blocks[2])


def test_pool_counts_references() -> None:
    pool = BlockPool(4)
    a, b, c = pool.get_new_blocks(3)
    assert pool.num_free_blocks == 1 and pool.usage == 0.75
    pool.touch([a])
    pool.free_blocks([a, b])
    assert (a.ref_cnt, b.ref_cnt, c.ref_cnt) == (1, 0, 1)
    assert [x.block_id for x in pool.free_queue] == [3, 1]
    pool.touch([b])  # a hit on a free block takes it out of the middle
    assert [x.block_id for x in pool.free_queue] == [3] and pool.problems() == []
    with pytest.raises(BlockPoolError, match="2 blocks asked for, 1 of 4"):
        pool.get_new_blocks(2)
    assert pool.num_free_blocks == 1
    pool.free_blocks([a, b, c])
    with pytest.raises(BlockPoolError, match="freed twice"):
        pool.free_blocks([c])
    assert pool.num_free_blocks == 4 and pool.problems() == []
    with pytest.raises(ValueError, match="num_blocks is 0"):
        BlockPool(0)


def test_pool_reports_damage() -> None:
    pool = BlockPool(3)
    (block,) = pool.get_new_blocks(1)
    block.ref_cnt = 0
    assert pool.problems() == ["blocks [0] are neither free nor referenced"]
    pool.blocks[2].ref_cnt = 1
    assert "blocks [2] are free and referenced" in pool.problems()


def test_manager_grows_tables() -> None:
    manager = KVCacheManager(num_blocks=4, block_size=4)
    assert manager.capacity == 16
    assert manager.allocate_slots("a", 5) and manager.get_block_ids("a") == [0, 1]
    assert manager.allocate_slots("a", 8) and manager.get_block_ids("a") == [0, 1]
    assert manager.allocate_slots("a", 9) and manager.get_block_ids("a") == [0, 1, 2]
    assert manager.usage == 0.75
    assert not manager.allocate_slots("b", 5) and manager.holders() == ("a",)
    assert not manager.allocate_slots("b", 4, keep_free=1)
    assert manager.allocate_slots("b", 4) and manager.get_block_ids("b") == [3]
    assert not manager.allocate_slots("a", 13) and manager.allocate_slots("a", 12, keep_free=9)
    manager.free("a")
    manager.free("a")
    assert manager.get_block_ids("a") == [] and manager.problems() == []
    # the tail of a freed sequence is reused first
    assert manager.allocate_slots("c", 12) and manager.get_block_ids("c") == [2, 1, 0]


def test_manager_sees_leaks_and_resets() -> None:
    manager = KVCacheManager(num_blocks=4, block_size=4)
    manager.allocate_slots("a", 8)
    manager.block_pool.get_new_blocks(1)
    assert manager.problems() == ["blocks [2] have references that no table accounts for"]
    manager.reset()
    assert manager.problems() == [] and manager.block_pool.num_free_blocks == 4 and manager.holders() == ()
