"""Frames: whatever bytes come in, messages and typed errors come out, and the next frame is read."""

from __future__ import annotations

import itertools
import socket

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.process import framing
from sapwood.engine.process.framing import FrameReader, MessageError, MessageSocket, encode_frame
from sapwood.engine.process.messages import (
    Abort,
    Add,
    EngineStats,
    FromEngine,
    Ping,
    Pong,
    Refused,
    Shutdown,
    Step,
    ToEngine,
    TokenDelta,
)
from sapwood.engine.sampling_params import SamplingParams

fuzz = settings(max_examples=200, deadline=None)

ADD = Add(
    request_id="a/0/0",
    prompt_token_ids=[1, 2, 3],
    sampling_params=SamplingParams(logit_bias={5: -1.5}, seed=2**64 - 1, stop=["x", "y"], stop_token_ids=[7], n=2),
)
MESSAGES = [ADD, Abort(["a", "b"]), Ping(-3), Shutdown()]


def frame(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "little") + raw


def read(data: bytes, cuts: list[int]) -> list[object]:
    reader: FrameReader[object] = FrameReader(ToEngine)
    found: list[object] = []
    bounds = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    for a, b in itertools.pairwise(bounds):
        found += reader.feed(data[a:b])
    return found


@fuzz
@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_survive_any_split(messages: list[object], cuts: list[int]) -> None:
    assert read(b"".join(map(encode_frame, messages)), cuts) == messages


def test_what_the_engine_sends_survives() -> None:
    delta = TokenDelta(request_id="a", token_ids=[1], finish_reason="stop", queued=1.5)
    stats = EngineStats(num_running=3)
    for message in (Step(2.0, [delta], stats), Refused("a", "invalid", "é"), Pong(1, stats)):
        reader: FrameReader[object] = FrameReader(FromEngine)
        assert list(reader.feed(encode_frame(message))) == [message]


@fuzz
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(MESSAGES)), max_size=6),
    st.lists(st.integers(0, 9999), max_size=9),
)
def test_garbage_between_messages_takes_none_along(items: list[object], cuts: list[int]) -> None:
    data = b"".join(frame(item) if isinstance(item, bytes) else encode_frame(item) for item in items)
    found = read(data, cuts)
    assert len(found) == len(items)
    for item, out in zip(items, found, strict=True):
        assert out == item or (isinstance(item, bytes) and isinstance(out, MessageError | Shutdown | Ping | Abort))


@fuzz
@given(st.binary(max_size=200), st.lists(st.integers(0, 999), max_size=5))
def test_any_bytes_are_read_without_an_exception(data: bytes, cuts: list[int]) -> None:
    read(data, cuts)


def test_a_frame_that_is_too_long_is_skipped_and_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_FRAME_BYTES", 1 << 20)
    reader: FrameReader[object] = FrameReader(ToEngine)
    size = (1 << 20) + 5
    (error,) = reader.feed(size.to_bytes(4, "little") + b"x")
    assert isinstance(error, MessageError) and str(1 << 20) in str(error)
    left, chunk = size - 1, bytes(1 << 12)
    while left > len(chunk):
        assert reader.feed(chunk) == [] and len(reader._buffer) == 0
        left -= len(chunk)
    assert reader.feed(chunk[:left] + encode_frame(Ping(4))) == [Ping(4)]
    with pytest.raises(MessageError, match="1048576"):
        encode_frame(Abort(["x" * (1 << 20)]))


def test_errors_name_the_request_when_it_can_be_told() -> None:
    values = {"type": "add", "request_id": "r7", "prompt_token_ids": [1], "sampling_params": {"temperature": -2.0}}
    (error,) = FrameReader(ToEngine).feed(frame(msgspec.msgpack.encode(values)))
    assert isinstance(error, MessageError) and error.request_id == "r7" and "temperature is -2.0" in str(error)
    (error,) = FrameReader(ToEngine).feed(frame(b"\x91" * 5000))
    assert isinstance(error, MessageError) and error.request_id == ""


def test_what_cannot_be_sent_is_refused_at_once() -> None:
    with pytest.raises(MessageError, match="2\\*\\*64") as found:
        encode_frame(Add(request_id="big", prompt_token_ids=[2**70], sampling_params=SamplingParams()))
    assert found.value.request_id == "big"


def test_a_peer_that_reads_nothing_never_blocks_the_sender() -> None:
    ours, theirs = socket.socketpair()
    sender: MessageSocket[object] = MessageSocket(ours, ToEngine)
    messages = [Abort(["x" * 1000] * 100) for _ in range(50)]
    for message in messages:
        sender.send(message)
    assert sender.num_pending_bytes > 1_000_000
    receiver: MessageSocket[object] = MessageSocket(theirs, ToEngine)
    found: list[object] = []
    while sender.num_pending_bytes:
        found += receiver.receive()
        sender.flush()
    found += receiver.receive()
    assert found == messages and not receiver.closed
    sender.close()
    assert list(receiver.receive()) == [] and receiver.closed


def test_sending_to_a_peer_that_is_gone_says_closed() -> None:
    ours, theirs = socket.socketpair()
    sender: MessageSocket[object] = MessageSocket(ours, ToEngine)
    theirs.close()
    sender.send(Ping(1))
    assert sender.closed and sender.num_pending_bytes == 0
    sender.send(Ping(2))
    assert sender.num_pending_bytes == 0
