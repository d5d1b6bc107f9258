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
    assert [x.block_id for x in pool.free_queue] == [1, 3]  # no name: nobody can want it, so it goes first
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
    assert pool.damage() == {0: "is neither free nor referenced"} and "block 0 " in pool.problems()[0]
    pool.blocks[2].ref_cnt = 1
    assert pool.damage()[2] == "is free and referenced"
    pool.blocks[1].ref_cnt = -1
    assert pool.damage()[1] == "has -1 references"


def test_names_die_with_their_block_alone() -> None:
    pool = BlockPool(3)
    a, b, c = pool.get_new_blocks(3)
    pool.index.add(a, b"x")
    pool.index.add(b, b"x")  # computed twice, by two requests at once
    with pytest.raises(BlockPoolError, match="has a name already"):
        pool.index.add(b, b"y")
    assert pool.index.get(b"x") is a and pool.index.get(b"y") is None and len(pool.index) == 1
    pool.free_blocks([c, a, b])
    assert [x.block_id for x in pool.free_queue] == [2, 0, 1]  # nameless first, then the longest free
    assert pool.get_new_blocks(2) == [c, a]
    assert a.block_hash is None and pool.index.get(b"x") is b and pool.problems() == []
    pool.touch([b])
    assert pool.forget_free_blocks() == 0 and pool.index.get(b"x") is b  # it is read
    pool.free_blocks([b])
    assert pool.forget_free_blocks() == 1 and len(pool.index) == 0 and pool.problems() == []
    b.block_hash = b"z"
    assert pool.damage() == {1: "is not in the index under its name"}
    with pytest.raises(BlockPoolError, match="that the index does not know"):
        pool.get_new_blocks(1)


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
    assert manager.allocate_slots("c", 12) and sorted(manager.get_block_ids("c")) == [0, 1, 2]


def test_manager_shares_computed_blocks() -> None:
    manager = KVCacheManager(num_blocks=5, block_size=4)
    names = [b"0", b"1", b"2"]
    manager.allocate_slots("a", 12)
    manager.cache_blocks("a", names, 11)
    assert manager.num_named_blocks("a") == 2 and manager.get_computed_blocks(names, 12) == (
        manager.block_pool.blocks[:2]
    )
    computed = manager.get_computed_blocks(names, 7)
    assert [x.block_id for x in computed] == [0]  # the second block is not whole within 7 tokens
    assert not manager.allocate_slots("b", 16, computed=computed)  # 3 new ones; 2 are free
    assert manager.allocate_slots("b", 12, computed=computed) and manager.get_block_ids("b") == [0, 3, 4]
    assert manager.usage == 1.0 and manager.block_pool.num_references == 6 and manager.problems() == []
    with pytest.raises(ValueError, match="'b' has blocks already"):
        manager.allocate_slots("b", 20, computed=computed)
    manager.free("a")
    assert manager.block_pool.num_free_blocks == 2 and manager.get_computed_blocks(names, 12) == (
        manager.block_pool.blocks[:2]
    )
    manager.free("b")
    # the tail of a sequence is evicted before its beginning
    manager.allocate_slots("c", 16)
    assert [x.block_id for x in manager.get_computed_blocks(names, 12)] == [0]
    # of cached blocks that are free, none may be taken as a new one
    assert not manager.allocate_slots("d", 8, computed=manager.get_computed_blocks(names, 4))
    assert manager.problems() == [] and manager.balances
    manager.free("c")
    assert manager.reset_prefix_cache() == 1 and manager.get_computed_blocks(names, 12) == []


def test_manager_sees_leaks_and_resets() -> None:
    manager = KVCacheManager(num_blocks=4, block_size=4)
    manager.allocate_slots("a", 8)
    manager.block_pool.get_new_blocks(1)
    assert not manager.balances and manager.damage() == {2: "has 1 references and is in 0 tables"}
    assert manager.problems() == ["block 2 has 1 references and is in 0 tables"]
    manager.reset()
    assert manager.balances and manager.problems() == [] and manager.holders() == ()
    assert manager.block_pool.num_free_blocks == 4
