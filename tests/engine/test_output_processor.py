"""Outputs from token deltas: however tokens arrive and whenever outputs are taken, the texts are the same."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import msgspec
import pytest
from engine_fakes import make_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.output_processor import OutputProcessor
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.process.messages import LogprobEntry, TokenDelta
from sapwood.engine.sampling_params import RequestOutputKind, SamplingParams
from sapwood.engine.scheduler import DuplicateRequestError

TOKENIZER = make_tokenizer()
PROMPT = TOKENIZER.encode("the fox:")
END = TOKENIZER.special_tokens["<|end|>"]
WORDS = TOKENIZER.encode("The quick brown fox 你好 🙂🙃 jumps over naïve dogs, a b a b", add_special_tokens=False)
DELTA, CUMULATIVE, FINAL_ONLY = RequestOutputKind.DELTA, RequestOutputKind.CUMULATIVE, RequestOutputKind.FINAL_ONLY

fuzz = settings(max_examples=100, deadline=None)


def entry(token_id: int, top: int) -> LogprobEntry:
    return LogprobEntry(token_id, -0.1 * token_id, [(token_id + i, -0.1 * token_id - i) for i in range(top)])


def run(
    params: SamplingParams, tokens: list[list[int]], sizes: list[int], takes: list[bool], finish: str = "length"
) -> tuple[list[RequestOutput], list[str]]:
    """All outputs that are taken while the texts come in turns, and the ids that the engine was told to abort."""
    processor = OutputProcessor(TOKENIZER)
    state = processor.add_request("r", PROMPT, params)
    queues = []
    for text, ids in zip(state.texts, tokens, strict=True):
        queue, split = [], list(sizes)
        at = 0
        while at < len(ids):
            size = split.pop(0) if split else 1
            some = ids[at : at + size]
            at += size
            queue.append(
                TokenDelta(
                    request_id=text.text_id,
                    token_ids=some,
                    logprobs=[] if params.logprobs is None else [entry(t, params.logprobs) for t in some],
                    finish_reason=finish if at >= len(ids) else None,
                )
            )
        queues.append(queue)
    outputs: list[RequestOutput] = []
    stopped: list[str] = []
    takes = list(takes)
    while any(queues):
        step = [queue.pop(0) for queue in queues if queue]
        _, ended = processor.process(step)
        stopped += ended
        if not takes or takes.pop(0):
            output = state.take()
            if output is not None:
                outputs.append(output)
    if (output := state.take()) is not None:
        outputs.append(output)
    assert state.take() is None
    assert processor.num_requests == 0 and processor.num_texts == 0
    return outputs, stopped


def joined(outputs: list[RequestOutput], n: int) -> list[tuple[Any, ...]]:
    """Each text of DELTA outputs put together."""
    found = []
    for index in range(n):
        parts = [c for o in outputs for c in o.outputs if c.index == index]
        logprobs = None if parts[-1].logprobs is None else [e for c in parts for e in c.logprobs or []]
        assert all(c.finish_reason is None for c in parts[:-1])
        found.append(
            (
                "".join(c.text for c in parts), [t for c in parts for t in c.token_ids], logprobs,
                parts[-1].cumulative_logprob, parts[-1].finish_reason, parts[-1].stop_reason,
            )
        )  # fmt: skip
    return found


def whole(output: RequestOutput) -> list[tuple[Any, ...]]:
    return [
        (c.text, c.token_ids, c.logprobs, c.cumulative_logprob, c.finish_reason, c.stop_reason) for c in output.outputs
    ]


@st.composite
def requests(draw: st.DrawFn) -> tuple[SamplingParams, list[list[int]], str]:
    n = draw(st.integers(1, 3))
    tokens = [draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=15)) for _ in range(n)]
    text = TOKENIZER.decode(tokens[0])
    stops = []
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        stops.append(text[at : at + draw(st.integers(1, 6))] or "x")
    params = SamplingParams(
        n=n,
        max_tokens=100,
        stop=stops,
        min_tokens=draw(st.integers(0, 6)),
        logprobs=draw(st.sampled_from([None, 0, 2])),
        include_stop_str_in_output=draw(st.booleans()),
        skip_special_tokens=draw(st.booleans()),
    )
    return params, tokens, draw(st.sampled_from(["length", "stop"]))


@fuzz
@given(
    requests(),
    st.lists(st.integers(1, 5), max_size=10),
    st.lists(st.integers(1, 5), max_size=10),
    st.lists(st.booleans(), max_size=20),
)
def test_outputs_do_not_depend_on_how_tokens_arrive_or_are_taken(
    request_: tuple[SamplingParams, list[list[int]], str], sizes: list[int], others: list[int], takes: list[bool]
) -> None:
    params, tokens, finish = request_
    final, _ = run(dataclasses.replace(params, output_kind=FINAL_ONLY), tokens, sizes, [], finish)
    assert len(final) == 1 and final[0].finished
    expected = whole(final[0])
    streamed, _ = run(dataclasses.replace(params, output_kind=DELTA), tokens, others, takes, finish)
    assert joined(streamed, params.n) == expected
    assert [o.finished for o in streamed] == [False] * (len(streamed) - 1) + [True]
    everything, _ = run(params, tokens, others, takes, finish)
    assert whole(everything[-1]) == expected
    for earlier, later in itertools.pairwise(everything):
        for a, b in zip(earlier.outputs, later.outputs, strict=True):
            assert b.text.startswith(a.text) and b.token_ids[: len(a.token_ids)] == a.token_ids
    for (text, ids, _, _, reason, stop), sampled in zip(expected, tokens, strict=True):
        assert sampled[: len(ids)] == ids
        if isinstance(stop, str):
            assert reason == "stop" and len(ids) > params.min_tokens
            assert text.endswith(stop) if params.include_stop_str_in_output else True
        else:
            assert reason == finish and ids == sampled


def test_tokens_after_a_stop_string_are_dropped_and_the_engine_is_told() -> None:
    ids = TOKENIZER.encode("one END two", add_special_tokens=False)
    end = next(i for i in range(len(ids)) if "END" in TOKENIZER.decode(ids[: i + 1]))
    params = SamplingParams(stop="END", max_tokens=50)
    (output,), stopped = run(params, [ids], [len(ids)], [])
    assert output.outputs[0].text == "one " and output.outputs[0].token_ids == ids[: end + 1]
    assert stopped == []  # the engine had ended it by itself
    outputs, stopped = run(params, [ids], [1] * len(ids), [])
    assert outputs[-1].outputs[0].token_ids == ids[: end + 1] and len(stopped) == 1


def test_n_texts_have_their_own_seeds_and_one_asks_about_the_prompt() -> None:
    processor = OutputProcessor(TOKENIZER)
    params = SamplingParams(n=3, seed=2**64 - 2, prompt_logprobs=1, max_tokens=4, stop="x")
    state = processor.add_request("r", PROMPT, params)
    assert [t.params.seed for t in state.texts] == [2**64 - 2, 2**64 - 1, 0]
    assert [t.params.prompt_logprobs for t in state.texts] == [1, None, None]
    assert all(t.params.n == 1 and t.params.max_tokens == 4 for t in state.texts)
    assert len({t.text_id for t in state.texts}) == 3
    unseeded = processor.add_request("q", PROMPT, SamplingParams(n=2))
    assert [t.params.seed for t in unseeded.texts] == [None, None]


@pytest.mark.parametrize("kind", list(RequestOutputKind))
@pytest.mark.parametrize("chunks", [1, 3])
def test_prompt_logprobs_come_whole_and_once(kind: RequestOutputKind, chunks: int) -> None:
    processor = OutputProcessor(TOKENIZER)
    state = processor.add_request("r", PROMPT, SamplingParams(prompt_logprobs=1, n=2, output_kind=kind))
    first, second = state.texts
    entries = [entry(t, 1) for t in PROMPT[1:]]
    outputs = []

    def feed(*found: TokenDelta) -> None:
        processor.process(found)
        if (output := state.take()) is not None:
            outputs.append(output)

    feed(TokenDelta(request_id=second.text_id, token_ids=[WORDS[0]]))
    size = math.ceil(len(entries) / chunks)
    for at in range(0, len(entries), size):
        feed(TokenDelta(request_id=first.text_id, prompt_logprobs=entries[at : at + size]))
    feed(TokenDelta(request_id=first.text_id, token_ids=[WORDS[0]], finish_reason="length"))
    feed(TokenDelta(request_id=second.text_id, token_ids=[WORDS[0]], finish_reason="length"))
    found = [o.prompt_logprobs for o in outputs if o.prompt_logprobs is not None]
    assert found and found[0][0] is None and all(len(p) == len(PROMPT) for p in found)
    assert [next(iter(e or {})) for e in found[0][1:]] == PROMPT[1:]
    if kind is not CUMULATIVE:
        assert len(found) == 1
    assert outputs[-1].finished and len(outputs[-1].outputs) == (1 if kind is DELTA else 2)


def test_late_deltas_of_an_aborted_request_do_not_reach_its_successor() -> None:
    processor = OutputProcessor(TOKENIZER)
    old = processor.add_request("r", PROMPT, SamplingParams(n=2))
    with pytest.raises(DuplicateRequestError, match="'r'"):
        processor.add_request("r", PROMPT, SamplingParams())
    state, ids = processor.abort("r")
    assert state is old and ids == [t.text_id for t in old.texts] and processor.abort("r") == (None, [])
    output = old.take()
    assert output is not None and output.finished and [c.finish_reason for c in output.outputs] == ["abort"] * 2
    new = processor.add_request("r", PROMPT, SamplingParams())
    touched, _ = processor.process([TokenDelta(request_id=i, token_ids=[WORDS[0]]) for i in ids])
    assert touched == [] and new.take() is None


def test_an_abort_shows_what_was_held_back() -> None:
    processor = OutputProcessor(TOKENIZER)
    state = processor.add_request("r", PROMPT, SamplingParams(stop="fox jumps", output_kind=DELTA))
    ids = TOKENIZER.encode("a fox", add_special_tokens=False)
    processor.process([TokenDelta(request_id=state.texts[0].text_id, token_ids=ids)])
    assert (output := state.take()) is not None and output.outputs[0].text == "a "
    processor.abort("r")
    assert (output := state.take()) is not None and output.outputs[0].text == "fox"
    assert output.outputs[0].token_ids == [] and output.outputs[0].finish_reason == "abort"


def test_one_text_that_cannot_be_decoded_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = OutputProcessor(TOKENIZER)
    bad = processor.add_request("bad", PROMPT, SamplingParams(logprobs=0))
    good = processor.add_request("good", PROMPT, SamplingParams())
    touched, stopped = processor.process(
        [
            TokenDelta(request_id=bad.texts[0].text_id, token_ids=[5]),  # its logprobs are missing
            TokenDelta(request_id=good.texts[0].text_id, token_ids=[WORDS[0]], finish_reason="length"),
        ]
    )
    assert touched == [bad, good] and stopped == [bad.texts[0].text_id]
    assert bad.error is not None and bad.finished and good.error is None and good.finished


ENTRIES = st.lists(
    st.builds(
        LogprobEntry,
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.lists(st.tuples(st.integers(-5, 2**33), st.floats()), max_size=3),
    ),
    max_size=3,
)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(
            st.builds(
                TokenDelta,
                request_id=st.integers(0, 3).map(str) | st.just("stranger"),
                token_ids=st.lists(st.integers(0, 400) | st.integers(-(2**63), 2**64 - 1), max_size=4),
                logprobs=ENTRIES,
                prompt_logprobs=st.none() | ENTRIES,
                finish_reason=st.sampled_from([None, None, "stop", "length", "abort", "weird"]),
                stop_token_id=st.none() | st.integers(),
                error=st.none() | st.text(max_size=3),
                num_cached_tokens=st.none() | st.integers(),
            ),
            max_size=5,
        ),
        max_size=6,
    )
)
def test_no_delta_raises_or_leaves_a_text_behind(steps: list[list[TokenDelta]]) -> None:
    processor = OutputProcessor(TOKENIZER)
    params = SamplingParams(n=2, stop=["a", "bcd"], logprobs=1, prompt_logprobs=0, output_kind=DELTA)
    states = [processor.add_request(name, PROMPT, params) for name in ("p", "q")]
    ids = [text.text_id for state in states for text in state.texts]
    for step in steps:
        names = {str(i): text_id for i, text_id in enumerate(ids)}
        touched, stopped = processor.process(
            [msgspec.structs.replace(d, request_id=names.get(d.request_id, "stranger")) for d in step]
        )
        assert {*stopped} <= {*ids}
        for state in touched:
            state.take()
    assert processor.num_texts == sum(state.unfinished for state in states)
    for state in states:
        left = [text.text_id for text in state.texts if text.finish_reason is None]
        assert state.finished == (not left) and processor.abort(state.request_id)[1] == left
    assert processor.num_texts == processor.num_requests == 0


def test_times_and_cached_tokens() -> None:
    processor = OutputProcessor(TOKENIZER)
    state = processor.add_request("r", PROMPT, SamplingParams(output_kind=DELTA), arrival=1.0)
    text = state.texts[0].text_id
    processor.process([TokenDelta(request_id=text, num_cached_tokens=16, queued=2.0, scheduled=3.0)], at=4.0)
    processor.process([TokenDelta(request_id=text, token_ids=[WORDS[0]], num_preemptions=1)], at=5.0)
    first = state.take()
    processor.process([TokenDelta(request_id=text, token_ids=[END], finish_reason="stop")], at=6.0)
    last = state.take()
    assert first is not None and last is not None and first.metrics is not None and last.metrics is not None
    assert dataclasses.astuple(first.metrics) == (1.0, 2.0, 3.0, 5.0, 5.0, 1) and first.num_cached_tokens == 16
    assert dataclasses.astuple(last.metrics) == (1.0, 2.0, 3.0, 5.0, 6.0, 1)
    assert last.outputs[0].text == "" and last.outputs[0].token_ids == [END]
