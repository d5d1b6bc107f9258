"""What every request meets: keys, hosts, ids, headers, errors, time limits, and clients that leave."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from app_harness import post_head, raises, serving
from hostile import CHAT, COMPLETIONS, chat, completion
from http_harness import wait_for
from serve_fakes import MODEL, RunningServer

from sapwood.engine.client import EngineDeadError, EngineOverloadedError, Health
from sapwood.serve.config import ServerConfig
from sapwood.serve.routes import OPERATIONS

KEYS = ("first-key-0123456789", "second-key-0123456789")


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[RunningServer, httpx2.Client]]:
    with serving() as found:
        yield found


@pytest.fixture
def http(shared: tuple[RunningServer, httpx2.Client]) -> httpx2.Client:
    return shared[1]


@pytest.fixture
def server(shared: tuple[RunningServer, httpx2.Client]) -> Iterator[RunningServer]:
    """The shared server; the test may change its client."""
    found = shared[0]
    yield found
    client = found.client
    client.fail, client.state, client.token_delay = (lambda request_id, count: None), Health("ok"), 0.0
    found.call(client.gate.set)
    wait_for(lambda: not client.active)


# -- keys ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> Iterator[httpx2.Client]:
    with serving(api_keys=KEYS) as (_, http):
        yield http


PATHS = [(o.method, o.path.replace("{model:path}", MODEL)) for o in OPERATIONS if not o.public]


@pytest.mark.parametrize(
    ("method", "path"),
    [*PATHS, ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/nothing"), ("POST", "/health/"), ("GET", "//health")],
)
def test_every_route_asks_for_a_key(locked: httpx2.Client, method: str, path: str) -> None:
    response = locked.request(method, path)
    assert response.status_code == 401
    assert "API key" in response.json()["error"]["message"]
    assert response.headers["www-authenticate"].startswith(("Bearer", "Basic"))


def test_health_needs_no_key(locked: httpx2.Client) -> None:
    assert locked.get("/health").status_code == 200
    assert locked.get("/ping").status_code == 200


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens_in_each_way(locked: httpx2.Client, key: str) -> None:
    for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"authorization": _basic(key)}):
        assert locked.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEYS[0]}x"},
        {"authorization": f"Bearer {KEYS[0][:-1]}"},
        {"authorization": f"Bearer {KEYS[0]},{KEYS[1]}"},
        {"authorization": KEYS[0]},
        {"authorization": "Bearer"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"authorization": _basic("wrong")},
        {"authorization": "Bearer wrong", "x-api-key": KEYS[0]},
        {"x-api-key": ""},
        {"x-api-key": "\xff"},
        {"cookie": f"key={KEYS[0]}"},
    ],
)
def test_nothing_else_does(locked: httpx2.Client, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert locked.get("/v1/models", headers=raw).status_code == 401  # type: ignore[arg-type]


def test_no_key_is_repeated(locked: httpx2.Client) -> None:
    assert KEYS[0] not in repr(ServerConfig(served_model_names=(MODEL,), api_keys=KEYS))
    response = locked.get("/v1/models", headers={"authorization": "Bearer secret-that-is-wrong"})
    assert "secret" not in response.text


def test_keys_share_no_cached_prefixes() -> None:
    with serving(api_keys=KEYS) as (server, http):
        for key in (*KEYS, KEYS[0]):
            assert http.post(CHAT, json=chat(MODEL), headers={"x-api-key": key}).status_code == 200
        first, second, again = server.client.salts
        assert first and second and first != second and first == again
        assert not any(key in salt for key in KEYS for salt in server.client.salts)


def test_clients_may_divide_the_prefix_cache_where_that_is_allowed() -> None:
    with serving(enable_cache_salt=True) as (server, http):
        for salt in ("a", "b", "a"):
            assert http.post(CHAT, json=chat(MODEL, cache_salt=salt)).status_code == 200
        assert server.client.salts[0] == server.client.salts[2] != server.client.salts[1]


def test_other_machines_need_keys() -> None:
    for host in ("0.0.0.0", "::", "192.168.0.1", "example.com"):
        with pytest.raises(ValueError, match="API keys"):
            ServerConfig(served_model_names=(MODEL,), host=host)
        ServerConfig(served_model_names=(MODEL,), host=host, api_keys=KEYS)
    for host in ("127.0.0.1", "localhost", "::1", "127.8.0.1"):
        ServerConfig(served_model_names=(MODEL,), host=host)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("served_model_names", ()),
        ("served_model_names", ("a\nb",)),
        ("api_keys", ("short",)),
        ("api_keys", ("with a space in it",)),
        ("max_body_bytes", 0),
        ("max_body_bytes", 33 << 20),
        ("max_choices", 0),
        ("request_timeout", 0),
        ("keep_alive_interval", float("nan")),
    ],
)
def test_the_configuration_names_what_is_wrong(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        ServerConfig(**({"served_model_names": (MODEL,)} | {name: value}))  # type: ignore[arg-type]


# -- hosts and browsers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::2]", "", "a:b:c"])
def test_other_hosts_are_refused_without_keys(http: httpx2.Client, host: str) -> None:
    for path in ("/health", "/v1/models", "/"):
        response = http.get(path, headers={"host": host})
        assert response.status_code == 403, response.text
    assert response.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]", "[::1]:8000"])
def test_own_names_are_taken(http: httpx2.Client, host: str) -> None:
    assert http.get("/v1/models", headers={"host": host}).status_code == 200


def test_allowed_hosts() -> None:
    with serving(allowed_hosts=("Box.local",)) as (_, http):
        assert http.get("/health", headers={"host": "box.local:80"}).status_code == 200


def test_with_keys_any_host_is_taken(locked: httpx2.Client) -> None:
    assert locked.get("/health", headers={"host": "box.example"}).status_code == 200


def test_no_other_site_may_read_or_write(http: httpx2.Client) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    response = http.request("OPTIONS", CHAT, headers=headers)
    assert response.status_code == 405
    assert not any(name.startswith("access-control") for name in response.headers)
    response = http.post(CHAT, content=json.dumps(chat(MODEL)), headers={"content-type": "text/plain"})
    assert response.status_code == 415


def test_answers_keep_browsers_careful(http: httpx2.Client) -> None:
    for response in (http.get("/v1/models"), http.get("/nothing"), http.post(CHAT, content=b"{")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"


# -- ids and errors --------------------------------------------------------------------------------------


def test_request_ids(http: httpx2.Client) -> None:
    assert http.get("/health", headers={"x-request-id": "my-id.1"}).headers["x-request-id"] == "my-id.1"
    made = {http.get("/health").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("", "a b", "x" * 129, "é", 'a"b'):
        answer = http.get("/health", headers={"x-request-id": bad.encode()}).headers["x-request-id"]  # type: ignore[dict-item]
        assert answer != bad and len(answer) == 32
    response = http.post(CHAT, json=chat(MODEL), headers={"x-request-id": "abc"})
    assert response.json()["id"] == "chatcmpl-abc"


def test_the_same_id_may_be_used_at_once(server: RunningServer, http: httpx2.Client) -> None:
    server.call(server.client.gate.clear)
    answers: list[int] = []

    def ask() -> None:
        answers.append(http.post(CHAT, json=chat(MODEL), headers={"x-request-id": "same"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(server.client.active) == 3)
    server.call(server.client.gate.set)
    for thread in threads:
        thread.join()
    assert answers == [200] * 3


def test_unknown_paths_and_methods(http: httpx2.Client) -> None:
    response = http.get("/v1/nothing")
    assert response.status_code == 404 and response.json()["error"]["type"] == "invalid_request_error"
    response = http.get(CHAT)
    assert response.status_code == 405 and response.headers["allow"] == "POST"
    response = http.post("/v1/models", json={})
    assert response.status_code == 405 and set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
    response = http.get("/v1/messages/nothing")
    assert response.json()["type"] == "error" and response.json()["error"]["type"] == "not_found_error"


def test_head(http: httpx2.Client) -> None:
    response = http.head("/v1/models")
    assert response.status_code == 200 and response.content == b""


def test_health_says_how_the_engine_is(server: RunningServer, http: httpx2.Client) -> None:
    assert http.get("/health").json() == {"status": "ok", "detail": ""}
    for state in ("starting", "stuck", "dead", "draining"):
        server.client.state = Health(state, "because")
        response = http.get("/health")
        assert response.status_code == 503 and response.json() == {"status": state, "detail": "because"}
        assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("error", "status", "code", "kind"),
    [
        (EngineOverloadedError("The queue is full.", 2.4), 429, "engine_overloaded", "rate_limit_error"),
        (EngineDeadError("The engine died."), 503, "engine_dead", "service_unavailable_error"),
        (ValueError("The engine refuses this."), 400, None, "invalid_request_error"),
        (RuntimeError("secret inside"), 500, "internal_error", "server_error"),
        (KeyError("secret inside"), 500, "internal_error", "server_error"),
        (MemoryError("secret inside"), 500, "internal_error", "server_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["one", ["one", "two", "three"]])
def test_what_the_engine_raises(
    server: RunningServer,
    http: httpx2.Client,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str | None,
    kind: str,
    stream: bool,
    prompt: object,
) -> None:
    server.client.fail = raises(error)
    with caplog.at_level(logging.DEBUG):
        response = http.post(COMPLETIONS, json=completion(MODEL, stream=stream, prompt=prompt))
    assert response.status_code == status
    assert response.json()["error"]["code"] == code and response.json()["error"]["type"] == kind
    assert "secret" not in response.text and "secret" not in caplog.text
    if status == 500:
        assert response.headers["x-request-id"] in response.text
        assert response.headers["x-request-id"] in caplog.text and "serve_fakes.py" in caplog.text
    assert ("retry-after" in response.headers) == (status in (429, 503))
    wait_for(lambda: not server.client.active)


@pytest.mark.parametrize("stream_error", [EngineDeadError("The engine died."), RuntimeError("secret inside")])
def test_a_stream_that_breaks_ends_with_an_error(
    server: RunningServer, http: httpx2.Client, stream_error: Exception
) -> None:
    server.client.fail = raises(stream_error, at=2)
    response = http.post(CHAT, json=chat(MODEL, stream=True))
    assert response.status_code == 200
    *before, last, empty = response.text.split("\n\n")
    assert empty == "" and len(before) >= 2
    error = json.loads(last.removeprefix("data: "))["error"]
    expected = "service_unavailable_error" if isinstance(stream_error, EngineDeadError) else "server_error"
    assert error["type"] == expected and "secret" not in last
    assert "[DONE]" not in response.text
    wait_for(lambda: not server.client.active)


def test_no_log_has_a_prompt(server: RunningServer, http: httpx2.Client, caplog: pytest.LogCaptureFixture) -> None:
    words = "hippopotamus"
    with caplog.at_level(logging.DEBUG, logger="sapwood"):
        for body in (chat(MODEL), chat(MODEL, stream=True), chat("no such model"), chat(MODEL, n=-1)):
            body["messages"] = [{"role": "user", "content": words}]
            http.post(CHAT, json=body)
        server.client.fail = raises(RuntimeError(words))
        http.post(CHAT, json=chat(MODEL))
    assert "RuntimeError" in caplog.text and words not in caplog.text


# -- the page --------------------------------------------------------------------------------------------


def test_the_page(http: httpx2.Client, locked: httpx2.Client) -> None:
    page = http.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert http.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    assert http.get("/index.html").content == page.content
    for path in ("/../app.py", "/%2e%2e/app.py", "/static/../app.py", "/..%2fapp.py", "/__init__.py", "/app.py"):
        assert http.get(path).status_code == 404
    assert http.post("/", json={}).status_code == 405
    asked = locked.get("/")
    assert asked.status_code == 401 and asked.headers["www-authenticate"].startswith("Basic ")
    assert locked.get("/", headers={"authorization": _basic(KEYS[1])}).content == page.content


# -- bodies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_an_early_refusal_arrives_while_the_body_is_sent(http: httpx2.Client, connection: str, kind: str) -> None:
    """A connection that is closed with unread input is reset, and then the client has no answer."""
    headers = {"connection": connection, "content-type": kind}
    for _ in range(5):
        response = http.post(CHAT, content=b" " * (6 << 20), headers=headers)
        assert response.status_code == (413 if kind == "application/json" else 415)
        assert response.json()["error"]["message"]


def test_a_client_that_asks_first_need_not_send_its_body(server: RunningServer) -> None:
    head = post_head(99 << 20).removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    body = json.dumps(chat(MODEL)).encode()
    head = post_head(len(body)).removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(25).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert b"HTTP/1.1 200 " in connection.recv(1000)


# -- clients that leave ----------------------------------------------------------------------------------


def _connection(server: RunningServer, body: dict[str, Any], path: str = CHAT) -> socket.socket:
    data = json.dumps(body).encode()
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(post_head(len(data), path) + data)
    return connection


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["one", ["one", "two"]])
def test_leaving_before_the_first_token(server: RunningServer, stream: bool, prompt: object) -> None:
    server.call(server.client.gate.clear)
    aborted = server.client.num_aborted
    with _connection(server, completion(MODEL, stream=stream, prompt=prompt), COMPLETIONS):
        wait_for(lambda: bool(server.client.active))
        count = len(server.client.active)
    wait_for(lambda: not server.client.active)
    assert server.client.num_aborted == aborted + count


def test_leaving_in_the_middle_of_a_stream(server: RunningServer) -> None:
    server.client.token_delay = 0.01
    aborted = server.client.num_aborted
    with _connection(server, chat(MODEL, stream=True, max_tokens=200)) as connection:
        assert b"200 OK" in connection.recv(1000)
    wait_for(lambda: server.client.num_aborted == aborted + 1)
    assert not server.client.active


def test_leaving_while_the_body_is_sent(server: RunningServer) -> None:
    assert server.raw(post_head(999) + b"{", end=True) == b""
    assert not server.client.active


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.nightly)])
def test_many_clients_leave_at_once(server: RunningServer, http: httpx2.Client, count: int) -> None:
    server.call(server.client.gate.clear)
    connections = [_connection(server, chat(MODEL, stream=True)) for _ in range(count)]
    wait_for(lambda: len(server.client.active) == count)
    for connection in connections:
        connection.close()
    wait_for(lambda: not server.client.active)
    server.call(server.client.gate.set)
    assert http.post(CHAT, json=chat(MODEL)).status_code == 200


class _Held:
    """Stands for a tokenizer: encoding texts of at least `least` characters waits until `released`."""

    def __init__(self, inner: Any, least: int) -> None:
        self.inner, self.least = inner, least
        self.entered, self.released = threading.Semaphore(0), threading.Event()

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        if len(text) >= self.least:
            self.entered.release()
            assert self.released.wait(30)
        return self.inner.encode(text, add_special_tokens)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def held(server: RunningServer) -> Iterator[Callable[[int], _Held]]:
    inner = server.client.tokenizer
    made: list[_Held] = []

    def hold(least: int) -> _Held:
        made.append(_Held(inner, least))
        server.client.tokenizer = made[-1]
        return made[-1]

    yield hold
    for one in made:
        one.released.set()
    server.client.tokenizer = inner


def test_leaving_while_the_prompt_is_tokenised(
    server: RunningServer, http: httpx2.Client, held: Callable[[int], _Held]
) -> None:
    tokenizer = held(1)
    prompts = len(server.client.prompts)
    with _connection(server, completion(MODEL), COMPLETIONS):
        assert tokenizer.entered.acquire(timeout=20)
    time.sleep(0.05)  # the server sees the end of the connection while the tokenizer works
    tokenizer.released.set()
    assert http.post(COMPLETIONS, json=completion(MODEL)).status_code == 200
    assert len(server.client.prompts) == prompts + 1


def test_small_prompts_do_not_wait_for_large_ones(
    server: RunningServer, http: httpx2.Client, held: Callable[[int], _Held]
) -> None:
    tokenizer = held(100_000)
    large = [_connection(server, completion(MODEL, prompt="x" * 100_000), COMPLETIONS) for _ in range(5)]
    assert tokenizer.entered.acquire(timeout=20)
    assert http.post(COMPLETIONS, json=completion(MODEL)).status_code == 200
    assert http.get("/health").status_code == 200
    tokenizer.released.set()
    for connection in large:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 400 ")
        connection.close()


# -- what refusals say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "message", "param"),
    [
        (COMPLETIONS, {"prompt": "x"}, "Object missing required field `model`.", "model"),
        (
            CHAT,
            {"model": MODEL, "messages": [{"role": "user"}]},
            "Object missing required field `content`, at messages[0].",
            "messages[0].content",
        ),
        (
            CHAT,
            chat(MODEL, messages=[{"role": "x", "content": "x"}]),
            "Invalid enum value 'x', at messages[0].role; allowed: 'assistant', 'developer', 'system', 'tool', 'user'.",
            "messages[0].role",
        ),
        (
            CHAT,
            chat(MODEL, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
            "Invalid enum value 'image_url', at messages[0].content[0].type; allowed: 'text'.",
            "messages[0].content[0].type",
        ),
        (
            CHAT,
            chat(MODEL, modalities=["audio"]),
            "Invalid enum value 'audio', at modalities[0]; allowed: 'text'.",
            "modalities[0]",
        ),
        (COMPLETIONS, completion(MODEL, suffix="y"), "suffix is not supported by this server.", "suffix"),
    ],
)
def test_refusals_name_the_field_and_what_it_allows(
    http: httpx2.Client, path: str, body: dict[str, Any], message: str, param: str
) -> None:
    response = http.post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == message
    assert response.json()["error"]["param"] == param


def test_what_is_not_there_is_answered_with_what_is(http: httpx2.Client) -> None:
    def message(method: str, path: str, **more: Any) -> str:
        return http.request(method, path, **more).json()["error"]["message"]

    assert message("GET", "/models") == "There is no '/models' here; /openapi.json says what there is."
    assert message("GET", COMPLETIONS) == "GET is not allowed here; allowed: POST."
    json_type = {"content-type": "application/json"}
    assert message("POST", COMPLETIONS, headers=json_type) == "The body is empty; allowed: a JSON object."
