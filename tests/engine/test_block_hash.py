"""Names of cached blocks: what must differ differs, whatever is put in, and the encoding is not open to tricks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.block_hash import HASH_BYTES, extend_hashes, hash_block, hash_blocks, hash_root

TOKENS = st.lists(st.integers(0, 2**32 - 1), max_size=24)
TEXT = st.text(max_size=12)


@given(TOKENS, TEXT, TEXT, st.integers(1, 5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_chain_names_full_blocks_and_grows(tokens: list[int], numerics_id: str, salt: str, size: int) -> None:
    names = hash_blocks(tokens, numerics_id=numerics_id, block_size=size, cache_salt=salt)
    assert len(names) == len(tokens) // size and all(len(name) == HASH_BYTES for name in names)
    parent = root = hash_root(numerics_id, size, salt)
    for i, name in enumerate(names):
        parent = hash_block(parent, tokens[i * size : (i + 1) * size])
        assert name == parent
    grown: list[bytes] = []
    for end in range(len(tokens) + 1):
        extend_hashes(grown, root, tokens[:end], size)
        assert grown == names[: end // size]


@given(st.lists(st.tuples(TEXT, st.integers(1, 2**40), TEXT), min_size=2, max_size=8, unique=True))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_roots_differ(keys: list[tuple[str, int, str]]) -> None:
    assert len({hash_root(*key) for key in keys}) == len(keys)


@given(st.lists(st.tuples(st.tuples(*[st.integers(0, 2**32 - 1)] * 2) | st.tuples(st.integers(0, 9)),
                          st.lists(st.binary(max_size=6), max_size=3).map(tuple)),
                min_size=2, max_size=8, unique=True))  # fmt: skip
@settings(max_examples=200, deadline=None, derandomize=True)
def test_blocks_differ(keys: list[tuple[tuple[int, ...], tuple[bytes, ...]]]) -> None:
    root = hash_root("n", 4)
    assert len({hash_block(root, *key) for key in keys}) == len(keys)


def test_no_part_can_be_read_as_another() -> None:
    # what moves between two strings, or between a string and a number beside it
    assert hash_root("ab", 4, "c") != hash_root("a", 4, "bc")
    assert hash_root("a", 4, "") != hash_root("", 4, "a")
    eight = (4).to_bytes(8, "little").decode("latin-1")
    assert hash_root("x", 4, eight) != hash_root("x" + eight, 4, "")
    # ids that concatenate to the same digits, and one wide id for two narrow ones
    root = hash_root("n", 4)
    assert hash_block(root, [1, 23]) != hash_block(root, [12, 3])
    assert hash_block(root, [1, 0]) != hash_block(root, [1])
    assert hash_block(root, [65536, 0]) != hash_block(root, [0, 1])
    # tokens that spell an extra, extras that spell each other, an extra that is empty
    assert hash_block(root, [1], [struct.pack("<I", 2)]) != hash_block(root, [1, 2])
    assert hash_block(root, [1], [b"ab", b"c"]) != hash_block(root, [1], [b"a", b"bc"])
    assert hash_block(root, [1], [b""]) != hash_block(root, [1])
    # a chain is not a flat list, and a root is not a block
    assert hash_blocks([1, 2, 3, 4], numerics_id="n", block_size=2)[-1] != hash_block(root, [1, 2, 3, 4])
    assert hash_root("n", 4) != hash_block(b"", [])


def test_hostile_salts_are_names_like_any_other() -> None:
    salts = ["", "\ud800", "\udc00", "\ud800\udc00", "\U00010000", "\x00", "\x00\x00", "a" * 10**6, "é", "e\u0301"]
    assert len({hash_root("n", 16, salt) for salt in salts}) == len(salts)


def test_token_ids_have_a_range() -> None:
    with pytest.raises(struct.error):
        hash_block(b"", [-1])
    with pytest.raises(struct.error):
        hash_block(b"", [2**32])


def test_names_do_not_change() -> None:
    # a router, another machine and the next release compute the same ones
    names = hash_blocks(range(8), numerics_id="sapwood", block_size=4, cache_salt="tenant")
    assert [name.hex()[:16] for name in names] == PINNED


PINNED = ["9997dcb7d57f86a8", "af403382734448cd"]
