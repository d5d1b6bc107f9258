from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "loadgen"))
from scripted_server import answer, running, word_tokenizer


@pytest.fixture
def server():
    """The URL of a server in a thread that answers every completion."""

    async def handler(server, path, body, write):
        if path == "/tokenize":
            await word_tokenizer(body, write)
        else:
            await write(answer([" w"] * body["max_tokens"], 8))

    loop = asyncio.new_event_loop()
    started, url = threading.Event(), []

    async def go():
        async with running(handler) as found:
            url.append(found.url)
            started.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(go(),))
    thread.start()
    started.wait(10)
    yield url[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


SHORT = ("--input-len", "8", "--output-len", "4", "--num-prompts", "6", "--quiet")


def test_table(run, server):
    result = run("bench", "serve", server, *SHORT, "--concurrency", "2", "--goodput", "ttft:100000", "e2el:100000")
    assert (result.status, result.err) == (0, "")
    assert "closed loop, 2 clients, 8 tokens in, 4 out, seed 0" in result.out
    assert "6 completed, 0 failed" in result.out
    assert "(6 requests; ttft <= 100000 ms, e2el <= 100000 ms)" in result.out
    assert "time to first token" in result.out


def test_files(run, server, tmp_path):
    figures, drawing = tmp_path / "f.json", tmp_path / "p.svg"
    result = run(
        "bench", "serve", server + "/v1", *SHORT, "--request-rate", "500", "--json", str(figures), "--details",
        "--picture", str(drawing),
    )  # fmt: skip
    assert result.status == 0
    report = json.loads(figures.read_text())
    [found] = report["runs"]
    assert (found["kind"], found["load"], found["completed"], found["output_tokens"]) == ("request_rate", 500.0, 6, 24)
    assert len(found["records"]) == 6
    assert len(found["records"][0]["token_times"]) == 4
    assert report["machine"]["cpus"] >= 1
    assert drawing.read_text().startswith("<svg")


def test_sweep(run, server):
    result = run("bench", "serve", server, *SHORT, "--sweep", "concurrency:1,2,4", "--json", "-")
    assert [r["load"] for r in json.loads(result.out)["runs"]] == [1, 2, 4]
    result = run("bench", "serve", server, *SHORT, "--sweep", "rate:500,1000")
    assert [line.split()[0] for line in result.out.splitlines()[:3]] == ["rate", "500", "1000"]


def test_progress_is_told(run, server):
    result = run("bench", "serve", server, "--input-len", "8", "--output-len", "4", "--num-prompts", "3")
    assert "3 of 3 requests, 0 under way, 0 failed" in result.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ftp://x"], "the URL is 'ftp://x'"),
        (["http://127.0.0.1:1"], "/v1/models on 127.0.0.1:1: nothing listens there"),
        (["http://a..b"], "the host name 'a..b' cannot be looked up"),
        (["http://x:99999"], "Port out of range"),
        (["http://x", "--concurrency", "0"], "--concurrency is 0; allowed: 1 to 100000"),
        (["http://x", "--request-rate", "nan"], "--request-rate is nan"),
        (["http://x", "--goodput", "speed:5"], "--goodput is 'speed:5'"),
        (["http://x", "--goodput", "ttft:-5"], "--goodput is 'ttft:-5'"),
        (["http://x", "--sweep", "rate:"], "--sweep is 'rate:'"),
        (["http://x", "--sweep", "concurrency:1.5"], "--sweep is 'concurrency:1.5'"),
        (["http://x", "--extra-body", "[1]"], "--extra-body is '[1]'"),
        (["http://x", "--header", "nocolon"], "--header is 'nocolon'"),
        (["http://x", "--header", "a: b\r\nc: d"], "has characters"),
        (["http://x", "--prompt-ids", "--endpoint", "chat"], "--prompt-ids goes with"),
        (["http://x", "--tokenizer", "/nowhere"], "/nowhere/tokenizer.json"),
        (["http://x", "--json", "/nowhere/f.json"], "there is no directory"),
        (["http://x", "--picture", "run.png"], "--picture is 'run.png'; allowed: a name that ends with .svg"),
        (["http://127.0.0.1:1", "--model", "m", "--prompts", "/nowhere.jsonl"], "/nowhere.jsonl"),
    ],
)
def test_mistakes_are_one_line(run, arguments, text):
    result = run("bench", "serve", *arguments)
    assert result.status == 2
    assert text in result.err
    assert result.err.count("\n") == 1


def test_help_names_both_and_a_model_may_still_come_first(run):
    assert "serve" in run("bench", "--help").out
    result = run("bench", "/nowhere", "--tokens", "5")
    assert result.status == 2
    assert "/nowhere" in result.err
