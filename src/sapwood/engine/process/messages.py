"""What crosses the socket between a front end and an engine process: msgspec structs, as msgpack.

A frame is a length (u32, little-endian) and that many bytes. Both ends decode with the types below, so that a
frame of another shape is an error and never an object.
"""

from __future__ import annotations

import msgspec

from sapwood.engine.kv_events import KVEventBatch
from sapwood.engine.sampling_params import SamplingParams

MAX_FRAME_BYTES = 256 * 1024 * 1024


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an engine process needs to build its engine. Names and defaults as in `LLM`; all resolved.

    kv_events: whether Step tells of the prefix cache.
    """

    directory: str
    dtype: str
    max_model_len: int
    max_num_batched_tokens: int
    max_num_seqs: int
    block_size: int
    num_blocks: int | None
    kv_cache_memory_bytes: int | None
    enable_prefix_caching: bool
    eos_token_ids: list[int]
    seed: int
    num_threads: int | None = None
    kv_events: bool = False


# -- to the engine ---------------------------------------------------------------------------------------


class Start(msgspec.Struct, tag="start", frozen=True):
    """The first message."""

    config: EngineConfig


class Add(msgspec.Struct, tag="add", frozen=True, kw_only=True):
    """Queue one text (n is 1 here). Answered by tokens in Step, or by Refused.

    output_token_ids: what another engine has generated of it; see `Request`.
    """

    request_id: str
    prompt_token_ids: list[int]
    sampling_params: SamplingParams
    cache_salt: str = ""
    output_token_ids: list[int] = []


class Abort(msgspec.Struct, tag="abort", frozen=True):
    """End requests and free what they hold. Unknown ids are ignored; nothing more is sent about them."""

    request_ids: list[str]


class Ping(msgspec.Struct, tag="ping", frozen=True):
    number: int


class ResetPrefixCache(msgspec.Struct, tag="reset_prefix_cache", frozen=True):
    """Forget every cached block that no request reads."""


class KVSnapshot(msgspec.Struct, tag="kv_snapshot", frozen=True):
    """Tell all names of the prefix cache, for a listener that begins. A Step answers, if kv_events was asked for."""


class Shutdown(msgspec.Struct, tag="shutdown", frozen=True):
    """Exit now, with status 0."""


ToEngine = Start | Add | Abort | Ping | ResetPrefixCache | KVSnapshot | Shutdown


# -- from the engine -------------------------------------------------------------------------------------


class MemoryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes and blocks of a runner. kv_bytes is num_blocks * block_bytes."""

    weights_bytes: int
    arena_bytes: int
    kv_bytes: int
    block_bytes: int
    num_blocks: int
    block_size: int


class Ready(msgspec.Struct, tag="ready", frozen=True, kw_only=True):
    """The engine takes requests."""

    pid: int
    vocab_size: int
    max_model_len: int
    numerics_id: str
    memory: MemoryPlan
    load_seconds: float


class StartFailed(msgspec.Struct, tag="start_failed", frozen=True):
    """The engine cannot be built; the process ends. `message` is for the user, `user_error` says whose fault."""

    message: str
    user_error: bool


class LogprobEntry(msgspec.Struct, frozen=True, array_like=True):
    """Log-probability of a token, and (token id, logprob) of the likeliest, most likely first."""

    token_id: int
    logprob: float
    top: list[tuple[int, float]] = []


class TokenDelta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one step brought to one request.

    finish_reason: "stop", "length" or "abort"; None while it runs. error: why the engine aborted it.
    num_cached_tokens, queued, scheduled: with the first delta only. queued, scheduled: CLOCK_MONOTONIC seconds.
    """

    request_id: str
    token_ids: list[int] = []
    logprobs: list[LogprobEntry] = []
    prompt_logprobs: list[LogprobEntry] | None = None
    finish_reason: str | None = None
    stop_token_id: int | None = None
    error: str | None = None
    num_cached_tokens: int | None = None
    queued: float | None = None
    scheduled: float | None = None
    num_preemptions: int = 0


class EngineStats(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot after a step. Totals count since the process began.

    kv_cache_usage: share of blocks that requests hold, 0 to 1.
    prefix_cache_queries, prefix_cache_hits: tokens of admitted requests that may read the cache, and those found there.
    """

    num_running: int = 0
    num_waiting: int = 0
    num_waiting_tokens: int = 0
    kv_cache_usage: float = 0.0
    num_free_blocks: int = 0
    num_preemptions: int = 0
    prefix_cache_queries: int = 0
    prefix_cache_hits: int = 0
    num_steps: int = 0
    num_step_errors: int = 0
    num_leaked_blocks: int = 0
    num_batched_tokens: int = 0


class Step(msgspec.Struct, tag="step", frozen=True, omit_defaults=True):
    """A step ended at `at` (CLOCK_MONOTONIC seconds). One without deltas may only tell of the prefix cache.

    kv_events: what became of the cache since the last Step, if EngineConfig asked for that and something did.
    """

    at: float
    deltas: list[TokenDelta]
    stats: EngineStats
    kv_events: KVEventBatch | None = None


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The request was not queued. kind: "too_large", "invalid", "duplicate"; or "failed", for no fault of its own."""

    request_id: str
    kind: str
    message: str


class Pong(msgspec.Struct, tag="pong", frozen=True):
    number: int
    stats: EngineStats


FromEngine = Ready | StartFailed | Step | Refused | Pong
