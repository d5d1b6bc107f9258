"""Logs: one line an event whatever clients send, and nothing of prompts, texts or keys."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest
from scripted_engine import ScriptedEngine
from serve_fakes import MODEL, FakeClient, make_config
from starlette.middleware import Middleware

from sapwood.config import LOG_FORMATS as FORMATS
from sapwood.serve.app import create_app
from sapwood.serve.logs import configure_logging, log_access, log_event
from sapwood.serve.metrics import Metrics
from sapwood.serve.observe import MeteredEngine, ObserveMiddleware

HOSTILE = 'a\r\nERROR forged line\n\x1b[31m\x7f\u2028\u202e\ud800"= \0'


@pytest.fixture
def written() -> Iterator[dict[str, io.StringIO]]:
    """A stream for each format; loggers are as before afterwards."""
    names = ("sapwood", "uvicorn", "asyncio")
    saved = {n: (logging.getLogger(n).handlers, logging.getLogger(n).propagate, logging.getLogger(n).level)
             for n in names}  # fmt: skip
    yield {form: io.StringIO() for form in FORMATS}
    for name, (handlers, propagate, level) in saved.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.parametrize("form", FORMATS)
def test_an_event_is_one_line_of_printable_ascii(form: str, written: dict[str, io.StringIO]) -> None:
    configure_logging("info", form, written[form])
    log_event(HOSTILE, value=HOSTILE)
    log_access(status=200, started_response=200, finish_reasons=(), request_id=HOSTILE, client=HOSTILE)
    logging.getLogger("sapwood.serve").warning("%s", HOSTILE)
    lines = written[form].getvalue().split("\n")
    assert len(lines) == 4 and lines[3] == ""
    for line in lines[:3]:
        assert line.isascii() and line.isprintable()
        assert "forged line" in line
    if form == "json":
        assert json.loads(lines[0])["value"] == HOSTILE and json.loads(lines[1])["request_id"] == HOSTILE


@pytest.mark.parametrize("form", FORMATS)
def test_on_a_terminal_a_line_begins_at_the_margin(
    form: str, written: dict[str, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = written[form]
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    terminal.write("loading the model ... 1 s")
    configure_logging("info", form, terminal)
    log_event("ready")
    assert terminal.getvalue().startswith("loading the model ... 1 s\r\x1b[K") and "ready" in terminal.getvalue()


def test_values_cannot_take_the_place_of_the_line_s_own(written: dict[str, io.StringIO]) -> None:
    configure_logging("info", "json", written["json"])
    log_event("truth", level=logging.INFO, time="forged", logger="forged")
    line = json.loads(written["json"].getvalue())
    assert line["message"] == "truth" and line["logger"] == "sapwood.server" and line["time"] != "forged"


@pytest.mark.parametrize("form", FORMATS)
def test_exceptions_are_shown_without_their_text(form: str, written: dict[str, io.StringIO]) -> None:
    configure_logging("info", form, written[form])
    try:
        raise ValueError("my secret prompt")
    except ValueError:
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=True)
        logging.getLogger("asyncio").exception("in a callback")
    text = written[form].getvalue()
    assert text.count("\n") == 2 and "secret" not in text
    assert text.count("ValueError") == 2 and text.count("test_logs.py") == 2


def test_malformed_requests_do_not_fill_the_log(written: dict[str, io.StringIO]) -> None:
    configure_logging("debug", "text", written["text"])
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert written["text"].getvalue() == ""


@pytest.mark.parametrize(("level", "form", "message"), [
    ("loud", "text", "level is 'loud'; allowed: debug, info, warning, error"),
    ("info", "xml", "form is 'xml'; allowed: text, json"),
])  # fmt: skip
def test_words_that_are_not_known(level: str, form: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configure_logging(level, form)


def test_levels(written: dict[str, io.StringIO]) -> None:
    configure_logging("warning", "text", written["text"])
    log_access(status=200, started_response=200, finish_reasons=())
    log_event("ready")
    assert written["text"].getvalue() == ""
    log_event("trouble", logging.WARNING)
    assert "warning sapwood.server: trouble" in written["text"].getvalue()


def test_clients_that_leave_do_not_fill_the_log(written: dict[str, io.StringIO]) -> None:
    configure_logging("info", "text", written["text"])
    logging.getLogger("asyncio").warning("socket.send() raised exception.")
    assert written["text"].getvalue() == ""
    logging.getLogger("asyncio").warning("something else")
    assert "something else" in written["text"].getvalue()


async def _ask(written: io.StringIO, key: str, requests: list[tuple[str, str, dict[str, str], object]]) -> list[dict]:
    configure_logging("info", "json", written)
    engine = FakeClient()
    metrics = Metrics(ScriptedEngine(), MODEL)
    app = create_app(
        MeteredEngine(engine, metrics), make_config(api_keys=(key,)),
        middleware=[Middleware(ObserveMiddleware, metrics=metrics)],
    )  # fmt: skip
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for method, path, headers, body in requests:
            await client.request(method, path, headers=headers, json=body)
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_nothing_that_clients_say_gets_into_the_log(written: dict[str, io.StringIO]) -> None:

    key = "the-secret-key"
    good = {"authorization": f"Bearer {key}"}
    secret = "the-secret-prompt"
    requests = [
        ("POST", "/v1/completions", good, {"model": MODEL, "prompt": secret, "max_tokens": 3, "ignore_eos": True}),
        ("POST", "/v1/chat/completions", good, {"model": secret, "messages": [{"role": "user", "content": secret}]}),
        ("POST", "/v1/completions", {"authorization": "Bearer the-secret-guess"}, {"prompt": secret}),
        ("GET", "/the-secret-path?the-secret-query", good, None),
        ("POST", "/v1/completions", good | {"x-request-id": "the-secret-id\t"}, [secret]),
        ("GET", "/v1/models/the-secret-model", good, None),
    ]
    lines = asyncio.run(_ask(written["json"], key, requests))
    assert "secret" not in json.dumps(lines)
    assert [(line["route"], line["status"]) for line in lines] == [
        ("createCompletion", 200), ("createChatCompletion", 404), ("unmatched", 401), ("unmatched", 404),
        ("createCompletion", 400), ("retrieveModel", 404),
    ]  # fmt: skip
    assert lines[0]["completion_tokens"] == 3 and lines[0]["finish_reason"] == "length"
    assert lines[0]["prompt_tokens"] > 3 and lines[0]["cached_tokens"] == 3
    assert len({line["request_id"] for line in lines}) == len(lines)


def test_a_client_s_own_request_id_is_the_log_s(written: dict[str, io.StringIO]) -> None:

    headers = {"authorization": "Bearer the-secret-key", "x-request-id": "trace-1"}
    lines = asyncio.run(_ask(written["json"], "the-secret-key", [("GET", "/v1/models", headers, None)]))
    assert lines[0]["request_id"] == "trace-1"


@pytest.mark.parametrize("form", FORMATS)
def test_the_engine_process_logs_in_the_same_form(form: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "sapwood.engine.process.worker", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"SAPWOOD_LOG_FORMAT": form, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        theirs.close()
        ours.sendall(struct.pack("<I", 7) + b"garbage")
        ours.shutdown(socket.SHUT_WR)
        _, err = process.communicate(timeout=100)
    (line,) = err.splitlines()
    assert "garbage" not in line
    if form == "json":
        assert json.loads(line)["logger"] == "sapwood.engine.process.worker"
    else:
        assert " warning sapwood.engine.process.worker: " in line
