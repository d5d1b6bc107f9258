"""Requests that must be refused: what is sent, and what may come back. Used against a fake and a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
MESSAGES = "/v1/messages"
CONTEXT = 256  # of the model that they are sent to


@dataclass(frozen=True)
class Hostile:
    """One request. param: the field that the error must name; "" for any. body: bytes, or what becomes JSON."""

    name: str
    path: str
    body: Any
    status: int = 400
    param: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def chat(model: str, **changes: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 4} | changes


def completion(model: str, **changes: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "Hello.", "max_tokens": 4} | changes


def _raw(model: str, name: str, literal: str) -> bytes:
    """A chat request with a field as it is written."""
    return json.dumps(chat(model))[:-1].encode() + f', "{name}": {literal}}}'.encode()


NUMERIC = ("temperature", "top_p", "top_k", "min_p", "n", "presence_penalty", "frequency_penalty")
NUMERIC += ("repetition_penalty", "seed", "min_tokens", "top_logprobs", "max_completion_tokens")
INTEGERS = frozenset({"top_k", "n", "seed", "min_tokens", "top_logprobs", "max_completion_tokens"})


def _bodies(model: str) -> Iterator[Hostile]:
    text = json.dumps(chat(model)).encode()
    yield Hostile("empty", CHAT, b"")
    yield Hostile("cut", CHAT, text[:-2])
    yield Hostile("trailing", CHAT, text + b"x")
    yield Hostile("two", CHAT, text + text)
    yield Hostile("null", CHAT, b"null")
    yield Hostile("list", CHAT, b"[]")
    yield Hostile("python", CHAT, b"{'model': 'x'}")
    yield Hostile("comment", CHAT, b"/* */" + text)
    yield Hostile("byte order mark", CHAT, b"\xef\xbb\xbf" + text)
    yield Hostile("utf-16", CHAT, text.decode().encode("utf-16"))
    for name, inner in (("model", b"[" * 10**5), ("messages", b"[" * 10**5), ("ignored", b'{"a":' * 10**5)):
        yield Hostile(f"deep {name}", CHAT, b'{"%s": ' % name.encode() + inner)
    closed = b"[" * 10**5 + b"]" * 10**5
    yield Hostile("deep and closed", CHAT, text[:-1] + b', "ignored": ' + closed + b"}")
    yield Hostile("depth in a field that is looked at", CHAT, chat(model, tools=json.loads("[" * 60 + "]" * 60)))
    yield Hostile("many brackets", CHAT, text[:-1] + b', "ignored": [' + b"[]," * 10**5 + b"[]]}")
    yield Hostile("duplicate key", CHAT, text[:-1] + b', "model": "x"}')
    yield Hostile("duplicate key below", CHAT, text[:-1] + b', "ignored": {"a": 1, "a": 2}}')
    yield Hostile("invalid UTF-8", CHAT, text.replace(b"Hello", b"\xff\xfe"))
    yield Hostile("invalid UTF-8 in a field that is ignored", CHAT, text[:-1] + b', "ignored": "\xff"}')
    yield Hostile("overlong UTF-8", CHAT, text.replace(b"Hello", b"\xc0\xaf"))
    yield Hostile("lone surrogate", CHAT, text.replace(b"Hello", b"\\ud800"))
    yield Hostile("lone low surrogate", CHAT, text.replace(b"Hello", b"\\udc00 x"))
    yield Hostile("surrogate in UTF-8", CHAT, text.replace(b"Hello", b"\xed\xa0\x80"))
    yield Hostile("quotes and backslashes", CHAT, b'{"a": "' + b'\\"' * 500_000)
    yield Hostile("digits", CHAT, _raw(model, "ignored", "9" * 10**6))
    yield Hostile("huge exponent", CHAT, _raw(model, "ignored", "1e400"))
    for name in ("NaN", "Infinity", "-Infinity"):
        yield Hostile(f"{name} in a field that is ignored", CHAT, _raw(model, "ignored", name))


def _numbers(model: str) -> Iterator[Hostile]:
    for name in NUMERIC:
        for literal in ("NaN", "-Infinity", "1e400", "true", '"1"', "[]"):
            yield Hostile(f"{name}={literal}", CHAT, _raw(model, name, literal))
        huge = ("9" * 100, "-" + "9" * 100) if name == "seed" else ("9223372036854775808", "-9223372036854775809")
        for literal in huge:
            yield Hostile(f"{name}={literal[:12]}", CHAT, _raw(model, name, literal))
        if name in INTEGERS:
            yield Hostile(f"{name}=1.5", CHAT, _raw(model, name, "1.5"), param=name)
    for name, value in (
        ("n", 0),
        ("n", -1),
        ("n", 10**9),
        ("temperature", -0.1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("top_k", -2),
        ("min_p", 1.5),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("repetition_penalty", 0),
        ("min_tokens", -1),
        ("min_tokens", 5),  # max_tokens is 4
        ("prompt_logprobs", -1),
        ("prompt_logprobs", 10**6),
        ("seed", 2**63),
        ("seed", -(2**63) - 1),
    ):
        yield Hostile(f"{name}={value}", CHAT, chat(model, **{name: value}), param=name)
    for value in (0, -1, 2**31, 2**63, CONTEXT + 1, 1.5, True, "4"):
        yield Hostile(f"max_tokens={value}", CHAT, chat(model, max_tokens=value), param="max_tokens")
        yield Hostile(f"completion max_tokens={value}", COMPLETIONS, completion(model, max_tokens=value))
    yield Hostile("top_logprobs=21", CHAT, chat(model, logprobs=True, top_logprobs=21), param="top_logprobs")
    yield Hostile("top_logprobs alone", CHAT, chat(model, top_logprobs=2), param="top_logprobs")
    yield Hostile("logprobs=-1", COMPLETIONS, completion(model, logprobs=-1), param="logprobs")
    yield Hostile("best_of", COMPLETIONS, completion(model, best_of=4), param="best_of")
    yield Hostile("stream options alone", CHAT, chat(model, stream_options={}), param="stream_options")


def _strings(model: str) -> Iterator[Hostile]:
    yield Hostile("stop empty", CHAT, chat(model, stop=""), param="stop")
    yield Hostile("stop with empty", CHAT, chat(model, stop=["x", ""]), param="stop[1]")
    yield Hostile("10^4 stops", CHAT, chat(model, stop=["x"] * 10**4), param="stop")
    yield Hostile("1 MB stop", CHAT, chat(model, stop="x" * 10**6), param="stop")
    yield Hostile("stop number", CHAT, chat(model, stop=[1]), param="stop[0]")
    yield Hostile("stop ids", CHAT, chat(model, stop_token_ids=[1] * 5000), param="stop_token_ids")
    yield Hostile("stop id", CHAT, chat(model, stop_token_ids=[-1]), param="stop_token_ids[0]")
    yield Hostile("stop id out of range", CHAT, chat(model, stop_token_ids=[10**8]), param="stop_token_ids")
    yield Hostile("bias out of range", CHAT, chat(model, logit_bias={"1": 101}))
    yield Hostile("bias of an unknown token", CHAT, chat(model, logit_bias={"100000000": 1}), param="logit_bias")
    yield Hostile("bias of no token", CHAT, chat(model, logit_bias={"a": 1}), param="logit_bias")
    yield Hostile("bias of a negative token", CHAT, chat(model, logit_bias={"-1": 1}), param="logit_bias")
    biases = {str(i): 1 for i in range(10**5)}
    yield Hostile("10^5 biases", CHAT, chat(model, logit_bias=biases), param="logit_bias")
    yield Hostile("bias list", CHAT, chat(model, logit_bias=[1, 2]), param="logit_bias")
    for name in ("other", "", "../../etc/passwd", "x\r\nSet-Cookie: a=b", "x" * 10**6, "\u0000"):
        status = 400 if not 0 < len(name) <= 256 else 404
        yield Hostile(f"model {name[:20]!r}", CHAT, chat(name), status, "model")
        yield Hostile(f"completion model {name[:20]!r}", COMPLETIONS, completion(name), status, "model")
    yield Hostile("cache salt", CHAT, chat(model, cache_salt="x"), param="cache_salt")


def _prompts(model: str) -> Iterator[Hostile]:
    def messages(value: object, param: str = "") -> Hostile:
        return Hostile(f"messages {str(value)[:60]}", CHAT, chat(model, messages=value), param=param)

    user = {"role": "user"}
    yield messages([], "messages")
    yield messages("Hello.", "messages")
    yield messages([{}])
    yield messages([user])
    yield messages([user | {"content": None}])
    yield messages([user | {"content": []}])
    yield messages([user | {"content": 1}])
    yield messages([user | {"content": {"text": "x"}}])
    yield messages([user | {"content": ["x"]}])
    yield messages([user | {"content": [{"type": "text"}]}])
    yield messages([user | {"content": [{"type": "text", "text": 1}]}])
    for part in (
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "made up"},
    ):
        yield messages([user | {"content": [part]}], "messages[0].content[0].type")
    yield messages([{"role": "superuser", "content": "x"}], "messages[0].role")
    yield messages([{"role": "<|end|>", "content": "x"}], "messages[0].role")
    yield messages([{"role": 1, "content": "x"}], "messages[0].role")
    yield messages([user | {"content": "x"}] * 5000, "messages")
    yield messages([{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}])
    yield messages([user | {"content": "x " * CONTEXT}], "messages")
    yield Hostile("no messages", CHAT, {"model": model})

    def prompt(name: str, value: object, param: str = "prompt") -> Hostile:
        return Hostile(f"prompt {name}", COMPLETIONS, completion(model, prompt=value), param=param)

    yield prompt("empty", "")
    yield prompt("no prompts", [])
    yield prompt("empty ids", [[]])
    yield prompt("one empty", ["a", ""], "prompt[1]")
    yield prompt("mixed", ["a", 1])
    yield prompt("mixed lists", [[1], "a"])
    yield prompt("ids out of range", [10**8], "prompt")
    yield prompt("ids negative", [[-1]], "prompt[0][0]")
    yield prompt("ids negative, flat", [-1], "prompt")
    yield prompt("id 2^63", [2**63], "prompt")
    yield prompt("bool id", [[True]], "prompt[0][0]")
    yield prompt("bool id, flat", [True], "prompt[0]")
    yield prompt("null", None)
    yield prompt("number", 1)
    yield prompt("context", [5] * CONTEXT)
    yield prompt("context + 1", [5] * (CONTEXT + 1))
    yield prompt("10^6 ids", [5] * 10**6)
    yield prompt("10^5 prompts", ["a"] * 10**5)
    scored = completion(model, prompt=[1] * 250, n=64, max_tokens=1, echo=True, logprobs=20)
    yield Hostile("n times log-probabilities", COMPLETIONS, scored, param="prompt_logprobs")
    yield Hostile("n times prompts", COMPLETIONS, completion(model, prompt=["a"] * 100, n=64), param="n")
    yield Hostile("no prompt", COMPLETIONS, {"model": model})


def _features(model: str) -> Iterator[Hostile]:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"$ref": "#"}}}
    yield Hostile("tools", CHAT, chat(model, tools=[tool]), param="tools")
    yield Hostile("many tools", CHAT, chat(model, tools=[tool] * 10**4), param="tools")
    yield Hostile("tool choice", CHAT, chat(model, tool_choice="required"), param="tool_choice")
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "http://169.254.169.254/"}}}
    for value in (schema, {"type": "json_object"}, {}, {"type": None}):
        yield Hostile(f"response_format {str(value)[:30]}", CHAT, chat(model, response_format=value))
    for name, value in (
        ("functions", [{"name": "f"}]),
        ("function_call", "auto"),
        ("audio", {"voice": "x"}),
        ("web_search_options", {}),
        ("chat_template", "{{ 7 * 7 }}"),
        ("guided_regex", "(a+)+$"),
        ("guided_grammar", 'root ::= "'),
        ("guided_json", {}),
        ("structured_outputs", {}),
        ("bad_words", ["x"]),
    ):
        yield Hostile(name, CHAT, chat(model, **{name: value}), param=name)
    for options in ({"tokenize": False}, {"enable_thinking": 0}, {"thinking": "no"}, ["thinking"], {"messages": []}):
        yield Hostile(f"chat_template_kwargs {options}", CHAT, chat(model, chat_template_kwargs=options))
    yield Hostile("modalities", CHAT, chat(model, modalities=["text", "audio"]), param="modalities[1]")
    yield Hostile("beam search", CHAT, chat(model, use_beam_search=True), param="use_beam_search")
    yield Hostile("suffix", COMPLETIONS, completion(model, suffix="x"), param="suffix")
    yield Hostile("embeddings", "/v1/embeddings", {"model": model, "input": "x"}, param="model")
    yield Hostile("tokenize nothing", "/tokenize", {})
    yield Hostile("tokenize both", "/tokenize", chat(model, prompt="x"))
    yield Hostile("detokenize", "/detokenize", {"tokens": [10**8]}, param="tokens")
    yield Hostile("detokenize negative", "/detokenize", {"tokens": [-1]}, param="tokens[0]")


def _frames(model: str) -> Iterator[Hostile]:
    body = chat(model)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        yield Hostile(f"content type {kind!r}", CHAT, body, 415, headers={"content-type": kind} if kind else {})
    charset = {"content-type": "application/json; charset=utf-16"}
    yield Hostile("charset", CHAT, body, 415, headers=charset)
    for encoding in ("gzip", "br", "deflate, gzip"):
        headers = {"content-type": "application/json", "content-encoding": encoding}
        yield Hostile(f"content encoding {encoding}", CHAT, b"\x1f\x8b" + bytes(100), 415, headers=headers)
    yield Hostile("large body", CHAT, json.dumps(chat(model, user="x" * (5 << 20))).encode(), 413)
    for path in ("/v1/nothing", "/v1/chat/completions/", "//v1/chat/completions", "/v1/../etc/passwd", "/%2e%2e/x"):
        yield Hostile(f"path {path}", path, body, 404)
    yield Hostile("method", "/v1/models", body, 405)


def _anthropic(model: str) -> Iterator[Hostile]:
    """The same for /v1/messages; its errors name the field in their text."""
    for hostile in _bodies(model):
        yield Hostile(f"messages {hostile.name}", MESSAGES, hostile.body)
    for hostile in _frames(model):
        if hostile.path == CHAT:
            yield Hostile(f"messages {hostile.name}", MESSAGES, hostile.body, hostile.status, headers=hostile.headers)
    for name in ("max_tokens", "temperature", "top_p", "top_k"):
        for literal in ("NaN", "1e400", "-1", "true", '"1"', "[]", "9223372036854775808"):
            text = json.dumps({k: v for k, v in chat(model).items() if k != name})
            yield Hostile(f"messages {name}={literal}", MESSAGES, f'{text[:-1]}, "{name}": {literal}}}'.encode())
    user = {"role": "user"}
    for value in (
        [],
        [{}],
        [user],
        [user | {"content": None}],
        [user | {"content": []}],
        [user | {"content": [{"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}}]}],
        [user | {"content": [{"type": "tool_result", "tool_use_id": "x"}]}],
        [{"role": "superuser", "content": "x"}],
        [user | {"content": "x"}, {"role": "assistant", "content": "x"}],
        [user | {"content": "x "} | {"content": "x " * CONTEXT}],
    ):
        yield Hostile(f"messages {str(value)[:60]}", MESSAGES, chat(model, messages=value))
    yield Hostile("messages without max_tokens", MESSAGES, {"model": model, "messages": chat(model)["messages"]})
    yield Hostile("messages of another model", MESSAGES, chat("other"), 404)
    yield Hostile("messages with tools", MESSAGES, chat(model, tools=[{"name": "f", "input_schema": {"$ref": "#"}}]))
    yield Hostile("messages with thinking", MESSAGES, chat(model, thinking={"type": "enabled", "budget_tokens": 9}))
    yield Hostile("messages with stops", MESSAGES, chat(model, stop_sequences=["x"] * 10**4))
    yield Hostile("messages with an empty stop", MESSAGES, chat(model, stop_sequences=[""]))
    yield Hostile("path below messages", f"{MESSAGES}/batches", chat(model), 404)


def hostile_requests(model: str) -> dict[str, list[Hostile]]:
    """All of them, by kind."""
    kinds = {"body": _bodies, "number": _numbers, "string": _strings, "prompt": _prompts}
    kinds |= {"feature": _features, "frame": _frames, "anthropic": _anthropic}
    return {name: list(make(model)) for name, make in kinds.items()}


def problem(hostile: Hostile, response: httpx2.Response) -> str | None:
    """What is wrong with an answer."""
    said = f"{hostile.name}: {response.status_code} {response.text[:300]}"
    if response.status_code != hostile.status or response.headers["content-type"] != "application/json":
        return said
    answer = response.json()
    error = answer["error"]
    if hostile.path.startswith(MESSAGES):
        wrong = answer["type"] != "error" or set(error) != {"type", "message"} or not error["message"]
        return said if wrong or len(response.content) > 1000 or "Traceback" in response.text else None
    if set(error) != {"message", "type", "param", "code"} or not error["message"]:
        return said
    if len(response.content) > 1000 or "Traceback" in response.text:
        return said
    if hostile.param and error["param"] != hostile.param:
        return f"{said}; expected param {hostile.param}"
    return None
