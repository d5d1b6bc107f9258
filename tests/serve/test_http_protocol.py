"""Raw sockets against the limits of a connection: nothing that a client does holds it for ever or hurts another."""

from __future__ import annotations

import json
import logging
import resource
import socket
import time

import h11
import pytest
from http_harness import read_all, read_response, running, wait_for

from sapwood.serve import http_protocol
from sapwood.serve.http_protocol import RESERVED_FILES, connections_allowed, raise_file_limit

GET = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"


def test_requests_reuse_a_connection_and_name_no_server() -> None:
    with running() as server, server.connect() as client:
        for body in (b"12345", b"abcde"):
            client.sendall(POST + body)
            status, headers, answer = read_response(client)
            assert status == 200 and json.loads(answer)["bytes"] == 5
            assert "server" not in headers
        assert len(server.shared.waiting) == 1


def test_slow_headers_of_a_new_connection_end_with_408() -> None:
    with running(header_timeout=0.5) as server, server.connect() as client:
        client.sendall(b"GET /echo HTTP/1.1\r\n")
        for _ in range(4):  # bytes that keep coming do not extend the time
            time.sleep(0.1)
            client.sendall(b"x-a: b\r\n")
        status, headers, body = read_response(client)
        assert status == 408 and headers["connection"] == "close"
        assert "0.5 seconds" in json.loads(body)["error"]["message"]
        assert read_all(client) == b""
        assert server.shared.closed == {"header_timeout": 1}


def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    with running(header_timeout=0.3) as server, server.connect() as client:
        assert read_all(client) == b""
        assert server.shared.closed == {"header_timeout": 1}


def test_slow_headers_of_a_kept_connection_end_too() -> None:
    with running(header_timeout=0.5, keep_alive_timeout=60) as server, server.connect() as client:
        client.sendall(GET)
        assert read_response(client)[0] == 200
        time.sleep(0.7)  # idle longer than headers may take: not the same thing
        client.sendall(GET[:10])
        assert read_response(client)[0] == 408


def test_idle_connections_end_after_the_keep_alive_time() -> None:
    with running(header_timeout=60, keep_alive_timeout=0.4) as server, server.connect() as client:
        client.sendall(GET)
        assert read_response(client)[0] == 200
        assert read_all(client) == b""
        assert not server.shared.closed


@pytest.mark.parametrize(
    "head", [POST, b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
def test_slow_bodies_end_with_408_and_the_application_sees_the_client_leave(head: bytes) -> None:
    with running(body_timeout=0.5) as server, server.connect() as client:
        client.sendall(head + b"1")
        status, _, body = read_response(client)
        assert status == 408 and "body" in json.loads(body)["error"]["message"]
        wait_for(lambda: server.events == ["left while sending a body"])


def test_headers_of_a_megabyte_are_refused_and_the_answer_arrives() -> None:
    with running() as server:
        # The client has much left to send when the server answers; the answer must not be lost to a reset.
        answer = server.ask(b"GET /echo HTTP/1.1\r\nhost: x\r\nx-large: " + b"a" * (1 << 20) + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ")
        many = b"".join(b"x-%d: %s\r\n" % (i, b"a" * 100) for i in range(10_000))
        assert server.ask(b"GET /echo HTTP/1.1\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 431 ")
        assert server.ask(b"GET /" + b"a" * (1 << 20)).startswith(b"HTTP/1.1 431 ")


NOT_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
    b"GARBAGE\r\n\r\n",
    b"\r\n\r\n",
    b"GET /echo HTTP/1.1\r\n\r\n",  # no host
    b"GET /echo HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"0" * 100_000,
]


def test_what_is_not_http_gets_a_4xx_and_hurts_nobody() -> None:
    with running() as server, server.connect() as other:
        for data in NOT_HTTP:
            answer = server.ask(data)
            assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), data
            assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["type"] == "invalid_request_error"
            other.sendall(GET)
            assert read_response(other)[0] == 200


def test_http_1_0() -> None:
    with running() as server:
        answer = server.ask(b"POST /echo HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 200 ") and b'"bytes": 3' in answer


def test_pipelined_requests_are_answered_in_order() -> None:
    with running() as server, server.connect() as client:
        last = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % i for i in range(50)) + POST + b"12345" + last)
        answer = read_all(client)
        parts = answer.split(b"\r\n\r\n")[1:]
        paths = [json.loads(part.split(b"HTTP/1.1 ", 1)[0])["path"] for part in parts]
        assert paths == [f"/{i}" for i in range(50)] + ["/echo", "/last"]


def test_chunked_bodies_in_pieces() -> None:
    with running() as server, server.connect() as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for size in (1, 10, 70_000, 3):
            for piece in (b"%x\r\n" % size, b"a" * size, b"\r\n"):
                client.sendall(piece)
                time.sleep(0.005)
        client.sendall(b"0\r\n\r\n")
        assert json.loads(read_response(client)[2])["bytes"] == 70_014
        client.sendall(GET)
        assert read_response(client)[0] == 200


def test_garbage_after_a_request_ends_the_connection_after_its_answer() -> None:
    with running() as server:
        answer = server.ask(GET + b"\x00\x01\x02 garbage\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ") and b"HTTP/1.1 400 " in answer


def test_a_bad_chunk_while_the_application_waits() -> None:
    with running() as server:
        answer = server.ask(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcXX")
        assert answer.startswith(b"HTTP/1.1 400 ")
        wait_for(lambda: server.events == ["left while sending a body"])


def test_an_early_answer_arrives_though_the_body_is_still_coming() -> None:
    with running() as server, server.connect() as client:
        size = 8 << 20
        client.sendall(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            client.sendall(b"a" * (1 << 20))
        assert read_response(client)[0] == 413
        client.sendall(GET)  # the rest was thrown away, so that the connection can be used again
        assert read_response(client)[0] == 200


def test_the_rest_of_a_body_is_not_read_for_ever() -> None:
    with running(discard_timeout=0.3) as server, server.connect() as client:
        client.sendall(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nabc")
        assert read_response(client)[0] == 413
        assert read_all(client) == b""
        assert server.shared.closed == {"discarded": 1}
    with running(discard_bytes=1 << 20) as server, server.connect() as client:
        client.sendall(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nabc")
        assert read_response(client)[0] == 413
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                client.sendall(b"a" * (1 << 20))


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with running(write_timeout=0.5) as server, server.connect() as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_for(lambda: server.shared.closed == {"write_timeout": 1})
        wait_for(lambda: server.events == ["stream ended"])
        assert not read_all(client).endswith(b"0\r\n\r\n")  # and can tell that it is not all


def test_a_request_for_a_websocket_is_an_ordinary_request() -> None:
    with running() as server, server.connect() as client:
        client.sendall(GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert read_response(client)[0] == 200


def test_two_thousand_silent_connections_keep_nobody_out() -> None:
    files = raise_file_limit()
    if files < 5000:
        pytest.skip(f"this needs 5000 open files; {files} are allowed")
    with running(max_connections=1000) as server:
        held = [server.connect() for _ in range(2000)]
        with server.connect() as client:
            client.sendall(GET)
            assert read_response(client)[0] == 200
            wait_for(lambda: server.shared.closed["evicted"] == 1001)
            client.sendall(GET)
            assert read_response(client)[0] == 200
        for one in held:
            one.close()


def test_connections_at_work_are_not_evicted_and_the_next_one_is_refused_at_once() -> None:
    with running(max_connections=3) as server:
        working = [server.connect() for _ in range(3)]
        for client in working:
            client.sendall(POST)
        wait_for(lambda: server.shared.active == 3 and not server.shared.waiting)
        with server.connect() as late:
            late.sendall(GET)
            status, headers, body = read_response(late)
            assert status == 503 and headers["retry-after"] == "1"
            assert json.loads(body)["error"]["type"] == "overloaded_error"
        for client in working:
            client.sendall(b"12345")
            assert read_response(client)[0] == 200
            client.close()
        wait_for(lambda: server.shared.active == 0)
        with server.connect() as client:
            client.sendall(GET)
            assert read_response(client)[0] == 200


def test_no_more_connections_are_allowed_than_files() -> None:
    assert connections_allowed(4096, 65536) == 4096
    assert connections_allowed(4096, 1024) == 1024 - RESERVED_FILES
    with pytest.raises(ValueError, match="ulimit"):
        connections_allowed(4096, RESERVED_FILES)
    assert raise_file_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] or raise_file_limit() == 65536


def test_hostile_requests_leave_nothing_of_theirs_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), running() as server:
        server.ask(b"GET /evil-text\r\n HTTP/1.1\r\nevil-text\r\n\r\n")
        with server.connect() as client:
            client.sendall(b"GET /evil-text HTTP/1.1\r\nhost: x\r\nupgrade: evil-text\r\nconnection: upgrade\r\n\r\n")
            assert read_response(client)[0] == 200
    assert "evil-text" not in caplog.text


def test_clients_that_reset_leave_nothing_behind() -> None:
    with running() as server:
        for data in (b"", GET[:8], POST, POST + b"123", b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n"):
            client = server.connect()
            client.sendall(data)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        wait_for(lambda: server.shared.active == 0)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("length", [None, b"10"])
@pytest.mark.parametrize("pieces", [[], [b"0123456789"], [b"0", b"", b"12345678", b"9"], [b"\r\n0\r\n\r\nxyz"]])
def test_bodies_are_framed_as_h11_does(
    method: bytes, version: bytes, length: bytes | None, pieces: list[bytes]
) -> None:
    if method == b"HEAD":
        pieces = [b"" for _ in pieces]  # as uvicorn does
    elif length is not None and sum(map(len, pieces)) != 10:
        pieces = [b"0123456789"]
    sent = []
    for connection in (h11.Connection(h11.SERVER), http_protocol._H11Connection(h11.SERVER)):
        out = []
        for _ in range(2 if version == b"1.1" else 1):
            connection.receive_data(b"%b /a HTTP/%b\r\nhost: x\r\n\r\n" % (method, version))
            while not isinstance(connection.next_event(), h11.EndOfMessage):
                pass
            headers = [] if length is None else [(b"content-length", length)]
            out.append(connection.send(h11.Response(status_code=200, headers=headers)))
            out += [connection.send(h11.Data(data=piece)) for piece in pieces]
            out.append(connection.send(h11.EndOfMessage()))
            if connection.our_state is h11.DONE:
                connection.start_next_cycle()
        sent.append((b"".join(part or b"" for part in out), connection.our_state))
    assert sent[0] == sent[1]
