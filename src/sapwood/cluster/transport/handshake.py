"""Both sides of the handshake, without a socket: messages in, messages out.

Each side proves that it knows the secret by an HMAC-SHA256 over its role and all that was said, both nonces included:
a recorded proof is worth nothing later, and one side's proof is none of the other's. The router proves first, so that a
replica gives a stranger nothing to try passwords on.
"""

from __future__ import annotations

import hashlib
import hmac
import os

import msgspec

from sapwood.cluster.transport.messages import (
    NONCE_BYTES,
    PROTOCOL,
    Accepted,
    Challenge,
    Hello,
    Name,
    Proof,
    Rejected,
    RejectedKind,
)
from sapwood.engine.process.framing import MessageError

MIN_SECRET_BYTES = 16


class HandshakeError(Exception):
    """The handshake failed. kind: see Rejected."""

    def __init__(self, kind: RejectedKind, message: str) -> None:
        super().__init__(message)
        self.kind: RejectedKind = kind


def check_secret(secret: bytes) -> bytes:
    """The secret. Raises ValueError for one of fewer than MIN_SECRET_BYTES bytes, which could be guessed."""
    if not isinstance(secret, bytes) or len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret of the cluster is too short; allowed: at least {MIN_SECRET_BYTES} bytes")
    return secret


def check_name(what: str, name: str) -> str:
    """The name. Raises ValueError, with `what` it names, for one that no peer would take."""
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise ValueError(f"{what} is {name!r}; allowed: 1 to 200 letters, digits and ._:/@+-") from None


def _digest(secret: bytes, role: str, hello: Hello, challenge: Challenge) -> bytes:
    said = msgspec.msgpack.encode(
        (
            "sapwood cluster transport",
            role,
            (hello.protocol, hello.router_id, hello.nonce, hello.kv_events),
            (challenge.protocol, challenge.replica_id, challenge.nonce),
        )
    )
    return hmac.digest(secret, said, hashlib.sha256)


class ReplicaHandshake:
    """The replica's side. accepted: what the router said of itself, once it has proved that it is one."""

    def __init__(self, secret: bytes, replica_id: str) -> None:
        self._secret = secret
        self._challenge = Challenge(protocol=PROTOCOL, replica_id=replica_id, nonce=os.urandom(NONCE_BYTES))
        self._hello: Hello | None = None
        self._failed = False
        self.accepted: Hello | None = None

    def receive(self, message: object) -> Challenge | Accepted:
        """The answer. Raises HandshakeError, and from then on for whatever comes: nobody gets a second guess."""
        if self._failed:
            raise HandshakeError("malformed", "the handshake has failed")
        try:
            return self._answer(message)
        except HandshakeError:
            self._failed = True
            raise

    def _answer(self, message: object) -> Challenge | Accepted:
        if isinstance(message, MessageError):
            raise HandshakeError("malformed", "not a message of this handshake")
        if self._hello is None and isinstance(message, Hello):
            if message.protocol != PROTOCOL:
                raise HandshakeError("protocol", f"protocol {message.protocol} was asked for; allowed: {PROTOCOL}")
            self._hello = message
            return self._challenge
        if self._hello is not None and self.accepted is None and isinstance(message, Proof):
            expected = _digest(self._secret, "router", self._hello, self._challenge)
            if not hmac.compare_digest(expected, message.digest):
                raise HandshakeError("secret", "the router does not know the secret of this cluster")
            self.accepted = self._hello
            return Accepted(_digest(self._secret, "replica", self._hello, self._challenge))
        raise HandshakeError("malformed", f"{type(message).__name__} was not expected")


class RouterHandshake:
    """The router's side. replica_id: who must answer; None: whoever knows the secret."""

    def __init__(self, secret: bytes, router_id: str, *, replica_id: str | None, kv_events: bool) -> None:
        self._secret, self._replica_id = secret, replica_id
        self._challenge: Challenge | None = None
        self.hello = Hello(
            protocol=PROTOCOL, router_id=router_id, nonce=os.urandom(NONCE_BYTES), kv_events=kv_events
        )
        self.done = False

    def receive(self, message: object) -> Proof | None:
        """The answer, None once it is `done`. Raises HandshakeError."""
        if isinstance(message, Rejected):
            raise HandshakeError(message.kind, message.message)
        if self._challenge is None and isinstance(message, Challenge):
            if message.protocol != PROTOCOL:
                raise HandshakeError("protocol", f"the replica speaks protocol {message.protocol}, we {PROTOCOL}")
            if self._replica_id not in (None, message.replica_id):
                raise HandshakeError("replica", f"{message.replica_id} answers; expected: {self._replica_id}")
            self._challenge = message
            return Proof(_digest(self._secret, "router", self.hello, message))
        if self._challenge is not None and not self.done and isinstance(message, Accepted):
            expected = _digest(self._secret, "replica", self.hello, self._challenge)
            if not hmac.compare_digest(expected, message.digest):
                raise HandshakeError("secret", "the replica does not know the secret of this cluster")
            self.done = True
            return None
        raise HandshakeError("malformed", "the replica sent what is no message of this handshake")
