"""Whole runs against a scripted server. What is asserted are counts and orders, never how long something took."""

from __future__ import annotations

import asyncio
import json
import socket
import xml.etree.ElementTree as ElementTree

import pytest
from scripted_server import (
    DONE,
    STREAM_HEAD,
    answer,
    chunk,
    chunked,
    plain,
    running,
    usage,
    word_tokenizer,
)

from sapwood.loadgen import picture, report
from sapwood.loadgen.bench import LoadOptions, sweep
from sapwood.loadgen.openai_api import ServerError
from sapwood.loadgen.record import ERROR_KINDS
from sapwood.loadgen.workload import RandomSpec

SHORT = RandomSpec(input_len=8, output_len=3)


async def well_behaved(server, path, body, write):
    if path == "/tokenize":
        await word_tokenizer(body, write)
    else:
        await write(answer([" w"] * body["max_tokens"], prompt_tokens=8, cached=2))


def run(handler, kind="concurrency", values=(1,), **settings):
    """(bench, measurements, server) of a sweep against `handler`."""

    async def go():
        async with running(handler) as server:
            settings.setdefault("random", SHORT)
            settings.setdefault("warmups", 0)
            bench, runs = await sweep(LoadOptions(url=server.url, **settings), kind, values)
            return bench, runs, server

    return asyncio.run(go())


def test_closed_loop():
    _, (m,), server = run(well_behaved, values=[3], num_prompts=10)
    s = m.summary
    assert (s["completed"], s["failed"], s["output_tokens"], s["prompt_tokens"], s["cached_tokens"]) == (
        10,
        0,
        30,
        80,
        20,
    )
    assert s["chunks_equal_tokens"]
    bodies = server.completions()[1:]  # the first is the probe
    assert len({body["prompt"] for body in bodies}) == 10
    assert all(body["max_tokens"] == 3 and body["ignore_eos"] and body["stream"] for body in bodies)
    assert all(sum(1 + (len(w) >= 5) for w in body["prompt"].split()) + 1 == 8 for body in bodies)


def test_clients_are_as_many_as_asked_and_connections_are_kept():
    gate = asyncio.Event()

    async def together(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) > 1:
            if server.under_way == 4:
                gate.set()
            await gate.wait()
        await well_behaved(server, path, body, write)

    _, (m,), server = run(together, values=[4], num_prompts=12)
    assert m.summary["completed"] == 12
    assert server.peak == 4
    assert server.connections == 4


def test_open_loop_sends_on_while_nothing_is_answered():
    gate = asyncio.Event()

    async def late(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) > 1:
            if server.under_way == 20:
                gate.set()
            await gate.wait()
        await well_behaved(server, path, body, write)

    _, (m,), server = run(late, "rate", [2000.0], num_prompts=20)
    assert m.summary["completed"] == 20
    assert server.peak == 20


def test_warm_up_does_not_count():
    _, runs, server = run(well_behaved, values=[1, 2], num_prompts=3, warmups=2)
    assert [m.summary["requests"] for m in runs] == [3, 3]
    assert len(server.completions()) == 1 + 2 * (2 + 3)
    assert len({body["prompt"] for body in server.completions()}) == 11


def test_refusals_are_counted_apart():
    async def busy(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) % 2 == 0:
            await write(plain(429, b'{"error": {"message": "the queue is full"}}', "retry-after: 0"))
        else:
            await well_behaved(server, path, body, write)

    _, (m,), _ = run(busy, num_prompts=10, goodput={"e2el": 1e6})
    s = m.summary
    assert s["errors"] == {"refused 429": 5}
    assert s["completed"] == s["goodput"]["requests"] == 5
    assert "the queue is full" in s["error_messages"]["refused 429"]
    assert set(s["refusal_ms"]) == {"mean", "median", "p90", "p99", "max"}
    assert "refused after" in report.table(*run(busy, num_prompts=4)[:1], m)


async def _forever():
    await asyncio.Event().wait()


BAD_ANSWERS = {
    "refused": [plain(503, b"loading")],
    "http": [plain(500, b"oops"), plain(404, b'{"error": 1}'), plain(302, b"", "location: /x")],
    "malformed": [
        plain(200, b'{"choices": []}'),
        b"not http at all\r\n\r\n",
        STREAM_HEAD + chunked(b"data: {nonsense\n\n", DONE),
        STREAM_HEAD + chunked(b"data: [1, 2]\n\n", DONE),
        STREAM_HEAD + chunked(b'data: {"choices": [{"text": 5}]}\n\n', DONE),
        STREAM_HEAD + chunked(b"data: " + b"[" * 100000 + b"\n\n", DONE),
        STREAM_HEAD + chunked(b"data: \xff\xfe\n\n", DONE),
        STREAM_HEAD + b"zz\r\n",
    ],
    "stream": [
        STREAM_HEAD + chunked(chunk("a"), b'data: {"error": {"message": "engine died"}}\n\n', DONE),
        STREAM_HEAD + chunked(b'data: {"error": "at once"}\n\n'),
    ],
    "cut": [
        STREAM_HEAD + chunked(chunk("a")),
        STREAM_HEAD + chunked(chunk("a"), b"data: {"),
        STREAM_HEAD + b"%x\r\n%s\r\n" % (len(chunk("a")), chunk("a")),
    ],
    "empty": [STREAM_HEAD + chunked(chunk("", finish="stop"), DONE)],
}


@pytest.mark.parametrize(("kind", "data"), [(k, d) for k, answers in BAD_ANSWERS.items() for d in answers])
def test_bad_answers_are_counted_by_kind(kind, data):
    async def bad(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) == 3:
            await write(data)
            raise ConnectionError
        await well_behaved(server, path, body, write)

    _, (m,), _ = run(bad, num_prompts=4)
    s = m.summary
    assert s["completed"] == 3
    [(name, count)] = s["errors"].items()
    assert (name.split()[0], count) == (kind, 1)
    assert s["error_messages"][name]
    assert kind in ERROR_KINDS


def test_requests_time_out():
    async def silent(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) == 2:
            await write(STREAM_HEAD)
            await _forever()
        await well_behaved(server, path, body, write)

    _, (m,), _ = run(silent, num_prompts=3, timeout=0.5)
    assert m.summary["errors"] == {"timeout": 1}
    assert m.summary["completed"] == 2


def test_server_that_goes_away():
    async def leaves(server, path, body, write):
        if len(server.completions()) == 3:
            server.down = True  # from now on every connection is reset
            raise ConnectionError
        await well_behaved(server, path, body, write)

    _, (m,), _ = run(leaves, num_prompts=6)
    assert (m.summary["completed"], m.summary["errors"]) == (1, {"connect": 5})


@pytest.mark.parametrize("kind", ["concurrency", "rate"])
def test_a_run_that_is_interrupted_tells_what_has_ended(kind):
    async def stops(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) > 3:
            task.cancel()
            await _forever()
        await well_behaved(server, path, body, write)

    async def go():
        nonlocal task
        async with running(stops) as server:
            options = LoadOptions(url=server.url, random=SHORT, num_prompts=10, warmups=0)
            task = asyncio.create_task(sweep(options, kind, [20, 5] if kind == "rate" else [1, 5]))
            return await task

    task: asyncio.Task = None  # type: ignore[assignment]
    bench, runs = asyncio.run(go())
    assert bench.interrupted
    assert [m.summary["completed"] for m in runs] == [2]
    assert runs[0].summary["failed"] == 0
    assert "interrupted after" in report.table(bench, runs[0])


def test_nobody_listens():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
        with pytest.raises(ServerError, match="/v1/models"):
            asyncio.run(sweep(LoadOptions(url=url), "concurrency", [1]))


def test_idle_connection_that_the_server_closed_is_not_an_error():
    async def closes(server, path, body, write):
        await well_behaved(server, path, body, write)
        if path != "/tokenize":
            raise ConnectionError  # after a whole answer, without saying so

    bench, (m,), _ = run(closes, num_prompts=5)
    assert m.summary["completed"] == 5
    assert m.summary["sent_again"] == 5  # the first of the run met the connection of the probe
    assert "5 requests met an idle connection that the server had closed" in report.table(bench, m)


def test_fields_that_a_server_refuses_are_left_out():
    async def strict(server, path, body, write):
        if path == "/tokenize":
            await write(plain(404, b"{}"))
        elif "ignore_eos" in body or "stream_options" in body:
            name = "ignore_eos" if "ignore_eos" in body else "stream_options"
            await write(plain(400, json.dumps({"error": f"unknown field {name}"}).encode()))
        else:
            await write(STREAM_HEAD + chunked(chunk("a"), chunk(" b", finish="length"), DONE))

    bench, (m,), _ = run(strict, num_prompts=2)
    s = m.summary
    assert (s["completed"], s["with_usage"], s["output_tokens"]) == (2, 0, 4)
    text = report.table(bench, m)
    assert "note: the server refuses ignore_eos" in text
    assert "note: the server refuses stream_options" in text
    assert "output tokens are chunks" in text
    assert "a word of a prompt counts as a token" in text


def test_llama_cpp_tokenize():
    async def llama(server, path, body, write):
        if path == "/tokenize":
            ids = [0, *map(len, body.get("content", "").split())] if "content" in body else []
            await write(plain(200, json.dumps({"tokens": ids}).encode()))
        else:
            await well_behaved(server, path, body, write)

    bench, _, server = run(llama, num_prompts=2)
    assert bench.notes == []
    assert all(len(body["prompt"].split()) == 7 for body in server.completions())


def test_server_that_answers_nothing_right():
    async def broken(server, path, body, write):
        await write(plain(500, b"broken"))

    with pytest.raises(ServerError, match=r"a first request failed: http \(HTTP 500\): broken"):
        run(broken)


def test_chat_conversation():
    async def chat(server, path, body, write):
        if path == "/tokenize":
            await word_tokenizer(body, write)
            return
        assert path == "/v1/chat/completions"
        number = len(body["messages"])
        events = [chunk(f"answer {number}", chat=True), chunk("", finish="stop", chat=True), chunk(**usage(9, 1)), DONE]
        await write(STREAM_HEAD + chunked(*events))

    spec = RandomSpec(input_len=6, output_len=2, turns=3)
    _, (m,), server = run(chat, num_prompts=2, chat=True, random=spec)
    assert [r.turn for r in m.records] == [0, 1, 2, 0, 1, 2]
    last = server.completions()[-1]["messages"]
    assert [x["role"] for x in last] == ["user", "assistant", "user", "assistant", "user"]
    assert [x["content"] for x in last[1::2]] == ["answer 1", "answer 3"]


def test_completions_conversation_appends():
    spec = RandomSpec(input_len=6, output_len=2, turns=2)
    _, _, server = run(well_behaved, num_prompts=1, random=spec)
    first, second = server.completions()[-2:]
    assert second["prompt"].startswith(first["prompt"] + "  w w ")


def test_prompts_as_ids():
    _, _, server = run(well_behaved, num_prompts=2, random=RandomSpec(8, 3, as_ids=True))
    assert all(len(body["prompt"]) == 8 and body["prompt"][0] == 0 for body in server.completions())


def test_recorded_prompts(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "max_tokens": 1}\n{"prompt": "b", "max_tokens": 2}\n')
    _, (m,), _ = run(well_behaved, prompts=path)
    assert m.summary["requests"] == 2
    assert m.summary["output_tokens"] == 3


def test_key_and_headers_are_sent_and_not_written():
    heads = []

    async def go():
        async def look(reader, writer):
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(plain(401, b"no"))

        listener = await asyncio.start_server(look, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with pytest.raises(ServerError, match="HTTP 401"):
            await sweep(LoadOptions(url=url, api_key="s3cret", headers={"X-Team": "a"}), "concurrency", [1])
        listener.close()

    asyncio.run(go())
    assert "authorization: Bearer s3cret\r\n" in heads[0]
    assert "x-team: a\r\n" in heads[0]
    bench, runs, _ = run(well_behaved, num_prompts=1, api_key="s3cret", headers={"X": "other-secret"})
    assert "secret" not in json.dumps(report.as_json(bench, runs, True))


def test_pictures_are_svg():
    async def sometimes(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) % 5 == 3:
            await write(plain(429, b"busy"))
        else:
            await well_behaved(server, path, body, write)

    bench, runs, _ = run(sometimes, values=[1, 2, 16], num_prompts=8, goodput={"ttft": 1e6})
    for svg in (picture.run_picture(bench, runs[0]), picture.sweep_picture(bench, runs)):
        root = ElementTree.fromstring(svg)
        texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
        assert any(text and "ime to first token" in text for text in texts)
        assert "nan" not in svg

    async def nothing(server, path, body, write):
        if path != "/tokenize" and len(server.completions()) > 1:
            await write(plain(429, b"busy"))
        else:
            await well_behaved(server, path, body, write)

    bench, runs, _ = run(nothing, num_prompts=2)
    assert runs[0].summary["completed"] == 0
    ElementTree.fromstring(picture.run_picture(bench, runs[0]))
    ElementTree.fromstring(picture.sweep_picture(bench, runs))
    assert "refused 429: 2" in report.table(bench, runs[0])
    assert "busy" in report.sweep_table(bench, runs)
