"""A stream says the same as the whole answer, however the engine cuts its outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx2
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_fakes import MODEL, FakeClient, make_config

from sapwood.engine.outputs import CompletionOutput, RequestOutput
from sapwood.engine.sampling_params import RequestOutputKind
from sapwood.serve.app import create_app


def _merge(first: CompletionOutput, second: CompletionOutput) -> CompletionOutput:
    assert first.index == second.index and first.finish_reason is None
    logprobs = None if first.logprobs is None else first.logprobs + (second.logprobs or [])
    return CompletionOutput(
        first.index,
        first.text + second.text,
        first.token_ids + second.token_ids,
        logprobs=logprobs,
        finish_reason=second.finish_reason,
        stop_reason=second.stop_reason,
    )


class CuttingClient(FakeClient):
    """Joins its deltas and takes them apart again, as `cuts` say.

    Each cut is a number: how many deltas the next output joins (of all texts), 0 for one text at a time.
    """

    cuts: Sequence[int] = ()

    async def generate(self, *args: Any, **kwargs: Any) -> AsyncGenerator[RequestOutput, None]:
        outputs = [output async for output in super().generate(*args, **kwargs)]
        cuts = list(self.cuts)
        while outputs:
            count = cuts.pop() if cuts else 1
            taken, outputs = outputs[: max(count, 1)], outputs[max(count, 1) :]
            head = taken[0]
            if count == 0 and args[1].output_kind is RequestOutputKind.DELTA:
                for number, completion in enumerate(head.outputs):
                    last = head.finished and number == len(head.outputs) - 1
                    prompt = head.prompt_logprobs if number == len(head.outputs) - 1 else None  # later than a text
                    yield RequestOutput(
                        head.request_id, head.prompt, head.prompt_token_ids, [completion], last, prompt, 3
                    )
                continue
            joined: dict[int, CompletionOutput] = {}
            for output in taken:
                for completion in output.outputs:
                    known = joined.get(completion.index)
                    joined[completion.index] = completion if known is None else _merge(known, completion)
            yield RequestOutput(
                head.request_id,
                head.prompt,
                head.prompt_token_ids,
                list(joined.values()),
                taken[-1].finished,
                next((o.prompt_logprobs for o in taken if o.prompt_logprobs is not None), None),
                3,
            )


CLIENT = CuttingClient()
APP = create_app(CLIENT, make_config())


async def _post(path: str, body: dict[str, Any]) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=APP)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.post(path, json=body)


def post(path: str, body: dict[str, Any]) -> httpx2.Response:
    response = asyncio.run(_post(path, body))
    assert response.status_code == 200, response.text
    return response


def events_of(text: str) -> list[dict[str, Any]]:
    """The decoded events of a whole stream."""
    assert text.endswith("data: [DONE]\n\n")
    events = text.removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [msgspec.json.decode(event.removeprefix("data: ")) for event in events]


def _joined_logprobs(found: Any, new: Any) -> Any:
    if new is None:
        return found
    if found is None:
        return {key: list(value) if isinstance(value, list) else value for key, value in new.items()}
    return {key: found[key] + value if isinstance(value, list) else value for key, value in new.items()}


def assembled(events: list[dict[str, Any]]) -> tuple[dict[int, dict[str, Any]], Any]:
    """What a client makes of events: choice -> what it holds, and the usage."""
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for event in events:
        usage = event["usage"] or usage
        for choice in event["choices"]:
            known = choices.setdefault(
                choice["index"], {"text": "", "logprobs": None, "finish_reason": None, "stop_reason": None}
            )
            assert known["finish_reason"] is None, "an event after the last one"
            delta = choice.get("delta")
            known["text"] += choice["text"] if delta is None else delta.get("content") or ""
            known["logprobs"] = _joined_logprobs(known["logprobs"], choice["logprobs"])
            known["finish_reason"] = choice["finish_reason"]
            known["stop_reason"] = choice["stop_reason"]
    return choices, usage


def whole(answer: dict[str, Any]) -> tuple[dict[int, dict[str, Any]], Any]:
    """The same of an answer in one piece."""
    choices = {}
    for choice in answer["choices"]:
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        choices[choice["index"]] = {
            "text": text,
            **{name: choice[name] for name in ("logprobs", "finish_reason", "stop_reason")},
        }
    return choices, answer["usage"]


COMMON = {
    "n": st.integers(1, 3),
    "seed": st.integers(0, 5),
    "stop": st.sampled_from([None, "e", ["o", "xyz"], ["the", " "], "\ufffd"]),
    "max_tokens": st.integers(1, 30),
    "stream_options": st.just({"include_usage": True}),
}
CHAT = st.fixed_dictionaries(
    COMMON
    | {
        "model": st.just(MODEL),
        "messages": st.just([{"role": "user", "content": "Größe 🙂"}]),
        "logprobs": st.just(True),
        "top_logprobs": st.sampled_from([0, 2]),
    }
)
COMPLETION = st.fixed_dictionaries(
    COMMON
    | {
        "model": st.just(MODEL),
        "prompt": st.sampled_from(["Größe 🙂", ["The fox", "The dog"], [5, 6, 7], [[5, 6], [300]]]),
        "logprobs": st.sampled_from([None, 0, 3]),
        "echo": st.booleans(),
    }
)
CUTS = st.lists(st.integers(0, 4), max_size=30)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check_same(path: str, body: dict[str, Any], cuts: list[int]) -> None:
    options = body.pop("stream_options")
    CLIENT.cuts = ()
    expected = whole(post(path, body).json())
    CLIENT.cuts = cuts
    events = events_of(post(path, body | {"stream": True, "stream_options": options}).text)
    assert assembled(events) == expected
    assert not CLIENT.active


@SETTINGS
@given(body=CHAT, cuts=CUTS)
def test_chat(body: dict[str, Any], cuts: list[int]) -> None:
    check_same("/v1/chat/completions", body, cuts)


@SETTINGS
@given(body=COMPLETION, cuts=CUTS)
def test_completions(body: dict[str, Any], cuts: list[int]) -> None:
    check_same("/v1/completions", body, cuts)


def test_a_scored_prompt() -> None:
    body = {"model": MODEL, "prompt": "The quick fox", "max_tokens": 0, "echo": True, "logprobs": 1}
    choice = post("/v1/completions", body).json()["choices"][0]
    assert choice["text"] == "The quick fox" and choice["finish_reason"] == "length"
    found = choice["logprobs"]
    assert found["token_logprobs"][0] is None and all(value == -0.5 for value in found["token_logprobs"][1:])
    assert len(found["tokens"]) == len(found["text_offset"]) == len(found["top_logprobs"])
    streamed = assembled(events_of(post("/v1/completions", body | {"stream": True}).text))[0][0]
    assert streamed["text"] == choice["text"] and streamed["logprobs"] == found


def test_usage_comes_where_it_is_asked_for() -> None:
    body = {"model": MODEL, "prompt": "The", "max_tokens": 3, "stream": True}
    events = events_of(post("/v1/completions", body).text)
    assert all(event["usage"] is None for event in events)
    events = events_of(post("/v1/completions", body | {"stream_options": {"include_usage": True}}).text)
    assert [event["usage"] is None for event in events] == [True] * (len(events) - 1) + [False]
    assert events[-1]["choices"] == []
    options = {"include_usage": True, "continuous_usage_stats": True}
    events = events_of(post("/v1/completions", body | {"stream_options": options}).text)
    counts = [event["usage"]["completion_tokens"] for event in events]
    assert counts == sorted(counts) and counts[-1] == 3 and counts[0] >= 1
