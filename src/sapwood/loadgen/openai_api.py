"""Requests of the OpenAI API as a load sends them, and what their streams tell.

Served by vLLM, SGLang, llama.cpp's server and Sapwood alike; what they do differently is found by `probe`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sapwood.loadgen.http import HttpClient, ProtocolError, Response
from sapwood.loadgen.record import RequestRecord
from sapwood.loadgen.sse import EventStream, EventStreamError
from sapwood.loadgen.workload import Turn


class ServerError(Exception):
    """The server cannot be measured; the text says why."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class StreamReader:
    """Fills a record from the bytes of one streamed answer, whatever pieces they come in.

    A chunk counts as output if it carries text, reasoning or tool calls: the first chunk of a chat, with nothing
    but a role, does not, nor does the last one with nothing but usage. keep_text: whether record.text is filled.
    """

    def __init__(self, record: RequestRecord, *, chat: bool, keep_text: bool) -> None:
        self.record = record
        self.finished = False
        self._chat = chat
        self._texts: list[str] | None = [] if keep_text else None
        self._events = EventStream()

    def feed(self, piece: bytes, now: float) -> None:
        """Raises EventStreamError or msgspec.DecodeError for bytes that are not this API's."""
        for data in self._events.feed(piece):
            if data == b"[DONE]":
                self.finished = True
            else:
                self._chunk(_decode_chunk(data), data, now)

    def _chunk(self, chunk: _Chunk, data: bytes, now: float) -> None:
        record = self.record
        if chunk.error is not None:
            record.fail("stream", data.decode("utf-8", "replace"))
        if chunk.usage is not None:
            usage = chunk.usage
            record.prompt_tokens, record.completion_tokens = usage.prompt_tokens, usage.completion_tokens
            if usage.prompt_tokens_details is not None:
                record.cached_tokens = usage.prompt_tokens_details.cached_tokens
        if not chunk.choices:
            return
        choice = chunk.choices[0]
        if choice.finish_reason is not None:
            record.finish_reason = choice.finish_reason
        if self._chat:
            delta = choice.delta
            text = None if delta is None else delta.content
            some = text or (delta is not None and (delta.reasoning_content or delta.reasoning or delta.tool_calls))
        else:
            some = text = choice.text
        if some:
            record.token_times.append(now)
            if text and self._texts is not None:
                self._texts.append(text)

    def close(self) -> None:
        """The response is over: note what is missing."""
        record = self.record
        if self._texts is not None:
            record.text = "".join(self._texts)
        if self._events.in_event or not (self.finished or record.finish_reason):
            record.fail("cut", "the stream ended without finish_reason and [DONE]")
        elif not record.token_times:
            record.fail("empty", f"no output came; finish_reason is {record.finish_reason}")


@dataclass
class Target:
    """The server under load, and how to ask it.

    chat: /v1/chat/completions instead of /v1/completions. ignore_eos, usage: fields that the server takes.
    timeout: seconds for a whole request. body: fields of every request beside those of the workload.
    """

    client: HttpClient
    model: str
    chat: bool = False
    ignore_eos: bool = True
    usage: bool = True
    temperature: float | None = 0.0
    timeout: float = 600.0
    keep_text: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.chat else "/v1/completions"

    def encode(self, turn: Turn, exchange: list[str]) -> bytes:
        """The JSON of a request: what was said so far, then this turn."""
        body: dict[str, Any] = {"model": self.model, "stream": True}
        if self.chat:
            roles = ("user", "assistant")
            said = [{"role": roles[i % 2], "content": text} for i, text in enumerate(exchange)]
            body["messages"] = said + list(turn.messages or [{"role": "user", "content": turn.text}])
        elif turn.token_ids is not None:
            body["prompt"] = list(turn.token_ids)
        else:
            body["prompt"] = " ".join([*exchange, turn.text])
        if turn.output_len is not None:
            body["max_tokens"] = turn.output_len
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.ignore_eos:
            body["ignore_eos"] = True
        if self.usage:
            body["stream_options"] = {"include_usage": True}
        return msgspec.json.encode(body | dict(self.body))

    async def send(self, turn: Turn, exchange: list[str], record: RequestRecord) -> None:
        """One request, into `record`. Never raises for what the server does."""
        data = self.encode(turn, exchange)
        reader = StreamReader(record, chat=self.chat, keep_text=self.keep_text)
        record.start = self.client.clock()
        response = None
        try:
            response = await self.client.request("POST", self.path, data, timeout=self.timeout, sink=reader.feed)
        except TimeoutError:
            record.fail("timeout", f"not complete after {self.timeout:g} s")
        except (ProtocolError, EventStreamError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            broken = isinstance(error, ProtocolError) and "closed in the middle" in str(error)
            record.fail("cut" if broken and record.token_times else "malformed", str(error))
        except OSError as error:
            record.fail("cut" if record.token_times else "connect", str(error) or type(error).__name__)
        record.end = self.client.clock() if response is None else response.end
        if response is not None:
            self._judge(response, reader)

    def _judge(self, response: Response, reader: StreamReader) -> None:
        record = reader.record
        record.status = response.status
        if response.status != 200:
            text = response.body.decode("utf-8", "replace")
            record.fail("refused" if response.status in (429, 503) else "http", text or f"status {response.status}")
            record.retry_after = _seconds(response.headers.get("retry-after"))
        elif response.body:
            kind = response.headers.get("content-type", "none")
            record.fail("malformed", f"content-type is {kind}, not text/event-stream")
        else:
            reader.close()


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 7 else None


async def find_model(client: HttpClient, timeout: float) -> str:
    """The first model of /v1/models. Raises ServerError."""
    answer = await _json(client, "GET", "/v1/models", None, timeout)
    data = answer.get("data")
    if isinstance(data, list) and data and isinstance(data[0], dict) and isinstance(data[0].get("id"), str):
        return data[0]["id"]
    raise ServerError(f"{client.prefix}/v1/models names no model; use --model")


async def probe(target: Target, turn: Turn) -> list[str]:
    """Send one request; leave out fields that the server refuses. Returns what was left out, as sentences.

    Raises ServerError if the server cannot answer even then.
    """
    notes: list[str] = []
    optional = ["ignore_eos", "usage"]
    while True:
        record = RequestRecord()
        await target.send(turn, [], record)
        if record.ok or record.error == "empty":
            return notes
        if record.status in (400, 422) and optional:
            # The one that the message names, else one after the other.
            named = [n for n in optional if ("stream_options" if n == "usage" else n) in record.message]
            name = (named or optional)[0]
            optional.remove(name)
            if getattr(target, name):
                setattr(target, name, False)
                notes.append(f"the server refuses {'stream_options' if name == 'usage' else name}; it is left out")
            continue
        status = f" (HTTP {record.status})" if record.status else ""
        raise ServerError(f"a first request failed: {record.error}{status}: {record.message}")


async def server_tokenizer(client: HttpClient, model: str, timeout: float) -> Callable[[str], Any] | None:
    """An asynchronous function from text to token ids by the server's /tokenize; None where there is none.

    Knows the form of vLLM and Sapwood ({"model", "prompt"}) and that of llama.cpp ({"content"}).
    """
    forms = (
        lambda text: {"model": model, "prompt": text},
        lambda text: {"content": text, "add_special": True},
    )
    for form in forms:

        async def tokenize(text: str, form: Callable[[str], dict[str, Any]] = form) -> list[int]:
            answer = await _json(client, "POST", "/tokenize", form(text), timeout)
            tokens = answer.get("tokens")
            if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
                raise ServerError("/tokenize gives no list of token ids")
            return tokens

        try:
            if await tokenize("the of and"):
                return tokenize
        except ServerError:
            continue
    return None


async def _json(client: HttpClient, method: str, path: str, body: object, timeout: float) -> dict[str, Any]:
    where = f"{method} {client.prefix}{path} on {client.host}:{client.port}"
    try:
        data = None if body is None else msgspec.json.encode(body)
        response = await client.request(method, path, data, timeout=timeout)
    except TimeoutError:
        raise ServerError(f"{where}: no answer within {timeout:g} s") from None
    except ConnectionRefusedError:
        raise ServerError(f"{where}: nothing listens there; is the server running, and is that its port?") from None
    except (OSError, ProtocolError) as error:
        raise ServerError(f"{where}: {error}") from None
    if response.status != 200:
        raise ServerError(f"{where}: HTTP {response.status}: {response.body[:300].decode('utf-8', 'replace')}")
    try:
        answer = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ServerError(f"{where}: the answer is not a JSON object")
    return answer


async def wait_until_ready(client: HttpClient, seconds: float, path: str = "/health") -> None:
    """Until `path` answers 200. Raises ServerError after that many seconds."""
    deadline = client.clock() + seconds
    reason = "no answer"
    while client.clock() < deadline:
        try:
            response = await client.request("GET", path, timeout=5.0)
            if response.status == 200:
                return
            reason = f"HTTP {response.status}"
        except (OSError, ProtocolError) as error:
            reason = str(error) or type(error).__name__
        await asyncio.sleep(0.1)
    raise ServerError(f"{client.host}:{client.port}{client.prefix}{path} is not ready after {seconds:g} s: {reason}")
