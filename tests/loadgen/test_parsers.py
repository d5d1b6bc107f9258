"""HTTP and event streams mean the same in whatever pieces they come; h11 and a plain reading are the judges."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import DONE, STREAM_HEAD, answer, chunk, chunked, plain, usage

from sapwood.loadgen.http import ProtocolError, ResponseParser
from sapwood.loadgen.openai_api import StreamReader
from sapwood.loadgen.record import RequestRecord
from sapwood.loadgen.sse import EventStream


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


RESPONSES = [
    plain(200, b'{"a": 1}'),
    plain(204, b""),
    plain(429, b"busy", "retry-after: 2"),
    answer(["one", " two", " three"]),
    b"HTTP/1.1 100 Continue\r\n\r\n" + plain(200, b"after an interim response"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0A\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
]


def by_h11(data: bytes) -> tuple[int, bytes]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = 0, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return status, body


@pytest.mark.parametrize("data", RESPONSES)
def test_response_split_at_every_byte(data):
    expected = by_h11(data)
    for cut in range(len(data) + 1):
        parser = ResponseParser()
        body = parser.feed(data[:cut]) + parser.feed(data[cut:]) if cut < len(data) else parser.feed(data)
        assert (parser.status, body, parser.done) == (*expected, True)


@settings(deadline=None)
@given(st.sampled_from(RESPONSES), st.lists(st.integers(0, 2000), max_size=30))
def test_response_in_pieces(data, cuts):
    parser = ResponseParser()
    body = b"".join(parser.feed(piece) for piece in split(data, cuts))
    assert (parser.status, body) == by_h11(data)
    assert parser.done


def test_body_until_the_connection_closes():
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.0 200 OK\r\n\r\nabc") + parser.feed(b"def") == b"abcdef"
    assert not parser.done
    parser.feed_eof()
    assert parser.done
    assert not parser.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc",
        b"x" * 70000,
    ],
)
def test_what_is_not_http_is_refused(data):
    with pytest.raises(ProtocolError):
        ResponseParser().feed(data)


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_raise_nothing_else(noise, cuts):
    parser = ResponseParser()
    try:
        for piece in split(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + noise, cuts):
            parser.feed(piece)
    except ProtocolError:
        pass


def test_a_response_that_is_cut_off():
    whole = answer(["a"])
    for cut in range(len(whole)):
        parser = ResponseParser()
        parser.feed(whole[:cut])
        with pytest.raises(ProtocolError, match="closed in the middle"):
            parser.feed_eof()


def events_of(stream: bytes) -> list[bytes]:
    """The specification read plainly: normalise the ends of lines of the whole, then take line by line."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = text.split(b"\n")[:-1]
    events, data = [], None
    for line in lines:
        name, colon, value = line.partition(b":")
        if not line:
            if data is not None:
                events.append(b"\n".join(data))
            data = None
        elif name == b"data":
            data = [] if data is None else data
            data.append(value.removeprefix(b" ") if colon else b"")
    return events


ALPHABET = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"data:", b"data: x", b"data", b": note", b"event: y", b"\xef\xbb\xbf", b" "]
    )
)


@settings(deadline=None)
@given(ALPHABET.map(b"".join), st.lists(st.integers(0, 200), max_size=30))
def test_events_in_pieces(stream, cuts):
    stream += b"\n\n."  # what comes after a "\r" at the very end decides what it meant
    reader = EventStream()
    events = [event for piece in split(stream, cuts) for event in reader.feed(piece)]
    assert events == events_of(stream)


COMPLETION = b": keep-alive\n\n" + b"".join(
    [chunk("h\N{LATIN SMALL LETTER E WITH ACUTE}"), chunk(" \N{GRINNING FACE}"), chunk("", finish="stop")]
    + [chunk(**usage(5, 2, 3)), DONE]
)
CHAT = b"".join(
    [b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}\r\n\r\n']
    + [chunk("a", chat=True), chunk("b\n", chat=True), chunk("", finish="stop", chat=True)]
    + [chunk(**usage(9, 2)), DONE]
)


@pytest.mark.parametrize(("stream", "chat", "text"), [(COMPLETION, False, "hé 😀"), (CHAT, True, "ab\n")])
def test_answers_split_at_every_byte(stream, chat, text):
    for cut in range(len(stream) + 1):
        record = RequestRecord()
        reader = StreamReader(record, chat=chat, keep_text=True)
        reader.feed(stream[:cut], 1.0)
        reader.feed(stream[cut:], 2.0)
        reader.close()
        assert record.error is None
        assert (record.text, len(record.token_times), record.completion_tokens) == (text, 2, 2)
        assert record.finish_reason == "stop"


@settings(deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=40))
def test_whole_exchange_in_pieces(cuts):
    record = RequestRecord()
    reader = StreamReader(record, chat=False, keep_text=True)
    parser = ResponseParser()
    for piece in split(STREAM_HEAD + chunked(COMPLETION[:30], COMPLETION[30:]), cuts):
        reader.feed(parser.feed(piece), 1.0)
    reader.close()
    assert parser.done
    assert (record.text, record.error, record.cached_tokens) == ("hé 😀", None, 3)


def test_role_and_usage_chunks_are_not_tokens():
    record = RequestRecord()
    reader = StreamReader(record, chat=True, keep_text=False)
    for number, event in enumerate(CHAT.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]):
        reader.feed(event + b"\n\n", float(number))
    assert record.token_times == [1.0, 2.0]


def test_reasoning_counts_as_output():
    record = RequestRecord()
    reader = StreamReader(record, chat=True, keep_text=True)
    reader.feed(b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n\n', 1.0)
    reader.feed(chunk("yes", finish="stop", chat=True), 2.0)
    reader.close()
    assert (record.token_times, record.text) == ([1.0, 2.0], "yes")
