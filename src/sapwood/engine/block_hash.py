"""Names of cached blocks: a chain of 256-bit hashes over everything that the bits of a block depend on.

Keys and values of a block depend on its own tokens, on all tokens before them, and on the arithmetic. So a block's
name is H(name of the block before it, its tokens), and the first one hangs on H(numerics id, block size, salt).
Equal names then mean equal contents: nobody compares tokens, and an engine, a router and another machine can compute
the same name by themselves.

H is BLAKE2b with 32 bytes (RFC 7693) and a personalisation for each kind of input. 256 bits, because a collision
would show one person's text to another; nobody finds one on purpose. Encodings are unambiguous: token ids have a
fixed width and a count, everything of variable length has its length before it. A token id or a salt can
therefore never be read as part of something else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b

HASH_BYTES = 32

_ROOT = b"sapwood.kv.root"
_BLOCK = b"sapwood.kv.block"


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data


def _text(value: str) -> bytes:
    # "surrogatepass": a salt from JSON may hold half a surrogate pair, and each string must have bytes of its own.
    return _prefixed(value.encode("utf-8", "surrogatepass"))


def hash_root(numerics_id: str, block_size: int, cache_salt: str = "") -> bytes:
    """What the first block of a chain has for a parent, 32 bytes.

    numerics_id: see `ModelRunner`. block_size: tokens per block. cache_salt: whoever has another one shares nothing.
    """
    data = _text(numerics_id) + block_size.to_bytes(8, "little") + _text(cache_salt)
    return blake2b(data, digest_size=HASH_BYTES, person=_ROOT).digest()


def hash_block(parent: bytes, token_ids: Sequence[int], extras: Sequence[bytes] = ()) -> bytes:
    """Name of a full block, 32 bytes.

    parent: name of the block before it, or `hash_root`. token_ids: each from 0 to 2**32 - 1, else struct.error.
    extras: whatever else its contents depend on, such as an adapter or an image.
    """
    parts = [parent, struct.pack(f"<I{len(token_ids)}I", len(token_ids), *token_ids)]
    parts += map(_prefixed, extras)
    return blake2b(b"".join(parts), digest_size=HASH_BYTES, person=_BLOCK).digest()


def extend_hashes(hashes: list[bytes], root: bytes, token_ids: Sequence[int], block_size: int) -> None:
    """Append to `hashes`, which names the first blocks of `token_ids`, the names of its other full blocks."""
    parent = hashes[-1] if hashes else root
    for start in range(len(hashes) * block_size, len(token_ids) - block_size + 1, block_size):
        parent = hash_block(parent, token_ids[start : start + block_size])
        hashes.append(parent)


def hash_blocks(
    token_ids: Sequence[int], *, numerics_id: str, block_size: int, cache_salt: str = ""
) -> list[bytes]:
    """Names of all full blocks of a sequence, in order; len(token_ids) // block_size of them, 32 bytes each."""
    hashes: list[bytes] = []
    extend_hashes(hashes, hash_root(numerics_id, block_size, cache_salt), token_ids, block_size)
    return hashes
