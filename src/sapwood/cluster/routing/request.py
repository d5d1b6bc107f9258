"""What a router knows of a request (Prepare): its tokens, and the names of its blocks for each kind of engine."""

from __future__ import annotations

from collections.abc import Sequence

from sapwood.engine.block_hash import hash_blocks


class RoutingRequest:
    """A request to be routed.

    request_id: unique among open requests of a router. prompt_token_ids: all tokens that are known, those that another
    replica has generated among them. max_tokens: the most that may follow. cache_salt: see `block_hash.hash_root`.
    """

    __slots__ = ("_hashes", "cache_salt", "max_tokens", "model", "prompt_token_ids", "request_id")

    def __init__(
        self, request_id: str, model: str, prompt_token_ids: Sequence[int], max_tokens: int, cache_salt: str = ""
    ) -> None:
        self.request_id = request_id
        self.model = model
        self.prompt_token_ids = prompt_token_ids
        self.max_tokens = max_tokens
        self.cache_salt = cache_salt
        self._hashes: dict[tuple[str, int], list[bytes]] = {}

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_token_ids)

    def block_hashes(self, numerics_id: str, block_size: int) -> list[bytes]:
        """Names of the full blocks that a cache may give: never that of the last token, which is always computed."""
        key = numerics_id, block_size
        found = self._hashes.get(key)
        if found is None:
            end = (self.num_tokens - 1) // block_size * block_size
            found = self._hashes[key] = hash_blocks(
                self.prompt_token_ids[:end], numerics_id=numerics_id, block_size=block_size, cache_salt=self.cache_salt
            )
        return found
