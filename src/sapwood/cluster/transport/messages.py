"""What crosses the socket between a router and an engine replica: msgspec structs, in the engine's own frames.

    router                                            replica
    Hello(router id, nonce)                 ------>
                                            <------   Challenge(replica id, nonce)
    Proof(HMAC of all that was said)        ------>
                                            <------   Accepted(HMAC of all that was said) or Rejected
                                            <------   Welcome, or Lost while there is no engine

then the engine's own messages (`engine/process/messages.py`): Add, Abort, ResetPrefixCache, KVSnapshot and Ping from
the router, Step and Refused from the replica, and what is below. Request ids are the router's own: those of other
routers may be equal.

`Refused.kind` has three values more than the engine's: "draining", "unavailable" (no engine runs now) and "overloaded".
None of them is the request's fault, and another replica may take it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineStats,
    KVSnapshot,
    Ping,
    Ready,
    Refused,
    ResetPrefixCache,
    Step,
)

#: Changes when a peer that is older would misunderstand; a field that may be missing is no change.
PROTOCOL = 1
NONCE_BYTES = PROOF_BYTES = 32
#: of a frame before the peer has proved who it is; a Welcome has some hundred bytes
MAX_HANDSHAKE_FRAME_BYTES = 4096
#: of a frame to a replica: a million tokens and their parameters fit in well
MAX_ADD_FRAME_BYTES = 32 * 1024 * 1024

Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._:/@+-]{1,200}\Z")]
Nonce = Annotated[bytes, msgspec.Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Digest = Annotated[bytes, msgspec.Meta(min_length=PROOF_BYTES, max_length=PROOF_BYTES)]


# -- the handshake ---------------------------------------------------------------------------------------


class Hello(msgspec.Struct, tag="hello", frozen=True, kw_only=True):
    """The router's first message. kv_events: whether it wants those of the replica's steps."""

    protocol: int
    router_id: Name
    nonce: Nonce
    kv_events: bool = False


class Challenge(msgspec.Struct, tag="challenge", frozen=True, kw_only=True):
    protocol: int
    replica_id: Name
    nonce: Nonce


class Proof(msgspec.Struct, tag="proof", frozen=True):
    """The router knows the secret."""

    digest: Digest


class Accepted(msgspec.Struct, tag="accepted", frozen=True):
    """The replica knows the secret, and the router may speak."""

    digest: Digest


RejectedKind = Literal["malformed", "protocol", "secret", "timeout", "full", "replica"]


class Rejected(msgspec.Struct, tag="rejected", frozen=True):
    """The replica closes the connection. full: it has as many routers as it allows.

    replica: what a router finds by itself, that another replica than expected answers.
    """

    kind: RejectedKind
    message: str


# -- from the replica ------------------------------------------------------------------------------------


class ReplicaFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What stays as long as the replica. model: the name that it is served by. Others as in `EngineConfig`."""

    replica_id: Name
    pool: str
    model: str
    dtype: str
    max_model_len: int
    block_size: int
    max_num_seqs: int
    max_num_batched_tokens: int
    enable_prefix_caching: bool
    eos_token_ids: list[int]


class Welcome(msgspec.Struct, tag="welcome", frozen=True, kw_only=True):
    """An engine takes requests: after the handshake, and again whenever the engine process was started anew."""

    facts: ReplicaFacts
    ready: Ready
    stats: EngineStats
    num_restarts: int


class Lost(msgspec.Struct, tag="lost", frozen=True):
    """The engine process is gone, and with it these requests of this router. Nothing is taken until Welcome."""

    reason: str
    request_ids: list[str]


class Draining(msgspec.Struct, tag="draining", frozen=True):
    """The replica takes nothing new; what it has goes on to its end."""


class Status(msgspec.Struct, tag="status", frozen=True, kw_only=True):
    """The answer to Ping, from the replica's server. at: its CLOCK_MONOTONIC. state, detail: its engine's `Health`."""

    number: int
    at: float
    stats: EngineStats
    state: str
    detail: str


HandshakeToReplica = Hello | Proof
ToReplica = Add | Abort | Ping | ResetPrefixCache | KVSnapshot
HandshakeFromReplica = Challenge | Accepted | Rejected
FromReplica = Welcome | Lost | Draining | Status | Step | Refused | Rejected
