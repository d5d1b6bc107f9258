"""The handshake: only who knows the secret gets in, and whatever else is said is a typed refusal."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.cluster.transport.handshake import HandshakeError, ReplicaHandshake, RouterHandshake, check_secret
from sapwood.cluster.transport.messages import (
    MAX_HANDSHAKE_FRAME_BYTES,
    PROTOCOL,
    Accepted,
    Challenge,
    HandshakeToReplica,
    Hello,
    Proof,
    Rejected,
)
from sapwood.engine.process.framing import FrameReader, MessageError, encode_frame
from sapwood.engine.process.messages import Add, Ping
from sapwood.engine.sampling_params import SamplingParams

SECRET, OTHER = b"0123456789abcdef", b"0123456789abcdeF"


def router(secret: bytes = SECRET, replica_id: str | None = None) -> RouterHandshake:
    return RouterHandshake(secret, "router", replica_id=replica_id, kv_events=True)


def test_both_learn_that_the_other_knows_the_secret() -> None:
    ours, theirs = router(replica_id="replica"), ReplicaHandshake(SECRET, "replica")
    challenge = theirs.receive(ours.hello)
    assert theirs.accepted is None and isinstance(challenge, Challenge)
    proof = ours.receive(challenge)
    assert isinstance(proof, Proof) and not ours.done
    answer = theirs.receive(proof)
    assert theirs.accepted == ours.hello and isinstance(answer, Accepted)
    assert ours.receive(answer) is None and ours.done
    assert SECRET not in b"".join(map(encode_frame, (ours.hello, challenge, proof, answer)))
    assert proof.digest != answer.digest


def test_a_router_without_the_secret_gets_no_proof_to_try_passwords_on() -> None:
    ours, theirs = router(OTHER), ReplicaHandshake(SECRET, "replica")
    proof = ours.receive(theirs.receive(ours.hello))
    with pytest.raises(HandshakeError) as found:
        theirs.receive(proof)
    assert found.value.kind == "secret" and theirs.accepted is None


def test_a_replica_without_the_secret_is_not_believed() -> None:
    ours, theirs = router(), ReplicaHandshake(SECRET, "replica")
    challenge = theirs.receive(ours.hello)
    proof = ours.receive(challenge)
    assert isinstance(proof, Proof)
    for digest in (bytes(32), proof.digest):  # also not when it sends our own proof back
        with pytest.raises(HandshakeError) as found:
            ours.receive(Accepted(digest))
        assert found.value.kind == "secret" and not ours.done


def test_a_recorded_handshake_is_worth_nothing() -> None:
    ours, theirs = router(), ReplicaHandshake(SECRET, "replica")
    proof = ours.receive(theirs.receive(ours.hello))
    later = ReplicaHandshake(SECRET, "replica")
    later.receive(ours.hello)
    with pytest.raises(HandshakeError, match="secret"):
        later.receive(proof)


@pytest.mark.parametrize("field", ["router_id", "kv_events", "nonce"])
def test_what_was_said_cannot_be_changed_on_the_way(field: str) -> None:
    ours, theirs = router(), ReplicaHandshake(SECRET, "replica")
    values = {"router_id": "another", "kv_events": False, "nonce": bytes(32)}
    proof = ours.receive(theirs.receive(msgspec.structs.replace(ours.hello, **{field: values[field]})))
    with pytest.raises(HandshakeError, match="secret"):
        theirs.receive(proof)


def test_another_protocol_or_replica_is_told_apart() -> None:
    with pytest.raises(HandshakeError, match="allowed: 1") as found:
        ReplicaHandshake(SECRET, "replica").receive(msgspec.structs.replace(router().hello, protocol=PROTOCOL + 1))
    assert found.value.kind == "protocol"
    challenge = ReplicaHandshake(SECRET, "replica").receive(router().hello)
    assert isinstance(challenge, Challenge)
    with pytest.raises(HandshakeError) as found:
        router().receive(msgspec.structs.replace(challenge, protocol=PROTOCOL + 1))
    assert found.value.kind == "protocol"
    with pytest.raises(HandshakeError, match="replica answers; expected: replica-2") as found:
        router(replica_id="replica-2").receive(challenge)
    assert found.value.kind == "replica"
    with pytest.raises(HandshakeError, match="no place") as found:
        router().receive(Rejected("full", "no place"))
    assert found.value.kind == "full"


def test_short_secrets_are_refused() -> None:
    for secret in (b"", b"x" * 15, "x" * 16):
        with pytest.raises(ValueError, match="at least 16 bytes"):
            check_secret(secret)  # type: ignore[arg-type]
    assert check_secret(SECRET) == SECRET


HELLO = router().hello
LEGAL = [HELLO, Proof(bytes(32)), Proof(bytes(range(32)))]
ILLEGAL = [
    Ping(1),
    Add(request_id="r", prompt_token_ids=[1], sampling_params=SamplingParams()),
    msgspec.structs.replace(HELLO, nonce=b"short"),
    msgspec.structs.replace(HELLO, router_id="two\nlines"),
    msgspec.structs.replace(HELLO, router_id=""),
    Proof(b""),
]


@given(st.lists(st.sampled_from(LEGAL), max_size=5))
def test_no_order_of_messages_gets_in_without_the_secret(messages: list[object]) -> None:
    theirs = ReplicaHandshake(SECRET, "replica")
    for position, message in enumerate(messages):
        if position == 0 and isinstance(message, Hello):
            assert isinstance(theirs.receive(message), Challenge)
        else:
            with pytest.raises(HandshakeError):
                theirs.receive(message)
    assert theirs.accepted is None


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(LEGAL + ILLEGAL)), max_size=5))
def test_any_frames_end_in_answers_or_typed_refusals(items: list[object]) -> None:
    reader: FrameReader[object] = FrameReader(HandshakeToReplica, MAX_HANDSHAKE_FRAME_BYTES)
    theirs = ReplicaHandshake(SECRET, "replica")
    for item in items:
        data = len(item).to_bytes(4, "little") + item if isinstance(item, bytes) else encode_frame(item)
        (message,) = reader.feed(data)
        if any(item is illegal for illegal in ILLEGAL):
            assert isinstance(message, MessageError)
        try:
            assert isinstance(theirs.receive(message), Challenge)
        except HandshakeError as error:
            assert error.kind in ("malformed", "protocol", "secret")
    assert theirs.accepted is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    for message in FrameReader(HandshakeToReplica, MAX_HANDSHAKE_FRAME_BYTES).feed(data):
        with pytest.raises(HandshakeError):
            ReplicaHandshake(SECRET, "replica").receive(message if not isinstance(message, Hello) else Ping(1))


@given(st.integers(MAX_HANDSHAKE_FRAME_BYTES + 1, 2**32 - 1))
def test_frames_before_the_handshake_are_small(size: int) -> None:
    reader: FrameReader[object] = FrameReader(HandshakeToReplica, MAX_HANDSHAKE_FRAME_BYTES)
    (error,) = reader.feed(size.to_bytes(4, "little") + bytes(100))
    assert isinstance(error, MessageError) and len(reader._buffer) == 0


def test_a_reader_may_be_told_between_two_messages_to_expect_others() -> None:
    reader: FrameReader[object] = FrameReader(HandshakeToReplica, MAX_HANDSHAKE_FRAME_BYTES)
    found = []
    for message in reader.read(encode_frame(HELLO) + encode_frame(ILLEGAL[1]) + b"\x01\0\0"):
        reader.expect(Add | Ping)
        found.append(message)
    assert found == [HELLO, ILLEGAL[1]]
    assert isinstance(reader.feed(b"\0\xc0")[0], MessageError)
