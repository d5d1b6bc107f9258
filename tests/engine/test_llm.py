"""The offline API over a runner that is a pure function of the token prefix.

Batched, alone, chunked and preempted runs must give the same tokens, and nothing that a caller does may
leave a request or a block behind.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_fakes import FakeRunner, fake_factory, hashed, make_tokenizer, write_model
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.engine.chat_template import ChatTemplateError
from sapwood.engine.llm import LLM
from sapwood.engine.model_assets import resolve_dtype
from sapwood.engine.model_runner import RunnerSpec, SamplingState
from sapwood.engine.sampling_params import RequestOutputKind, SamplingParams
from sapwood.engine.scheduler import RequestTooLargeError
from sapwood.models.errors import ConfigError, HubError

TOKENIZER = make_tokenizer()
END = TOKENIZER.special_tokens["<|end|>"]
FOX = TOKENIZER.encode(" fox", add_special_tokens=False)[0]
GREEDY = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def make(model: Path, runner: dict[str, Any] | None = None, **options: Any) -> LLM:
    return LLM(model, runner_factory=fake_factory(**(runner or {})), **options)


def is_idle(llm: LLM) -> bool:
    manager = llm.engine.scheduler.kv_cache_manager
    assert manager.problems() == []
    return manager.usage == 0 and not llm.engine.has_unfinished_requests()


def script(text: str, then: int = END):
    """A runner that says `text` after any prompt that ends with ':', then `then` for ever."""
    ids = TOKENIZER.encode(text, add_special_tokens=False)
    colon = TOKENIZER.encode(":", add_special_tokens=False)[0]

    def next_token(prefix: list[int], sampling: SamplingState) -> int:
        said = len(prefix) - 1 - max(i for i, t in enumerate(prefix) if t == colon)
        return ids[said] if said < len(ids) else then

    return {"next_token": next_token}


def tokens(outputs: list[Any]) -> list[list[int]]:
    return [output.outputs[0].token_ids for output in outputs]


def test_generate_returns_what_vllm_users_expect(model: Path) -> None:
    llm = make(model, script(" jumps over"))
    (output,) = llm.generate("the fox:", SamplingParams(temperature=0), use_tqdm=False)
    assert output.prompt == "the fox:" and output.prompt_token_ids == llm.tokenizer.encode("the fox:")
    assert output.finished and len(output.outputs) == 1 and output.outputs[0].index == 0
    completion = output.outputs[0]
    assert completion.text == " jumps over" and completion.finish_reason == "stop"
    assert completion.stop_reason is None and completion.logprobs is None and completion.finished()
    assert completion.token_ids == [*TOKENIZER.encode(" jumps over", add_special_tokens=False), END]
    assert is_idle(llm)


def test_prompt_forms(model: Path) -> None:
    llm = make(model)
    ids = llm.tokenizer.encode("fox")
    forms: list[Any] = ["fox", {"prompt": "fox"}, {"prompt_token_ids": ids}, {"prompt_token_ids": tuple(ids)}]
    forms.append({"prompt_token_ids": np.array(ids)})
    together = llm.generate(forms, GREEDY, use_tqdm=False)
    assert all(t == tokens(together)[0] for t in tokens(together))
    assert [o.prompt for o in together] == ["fox", "fox", None, None, None]
    assert llm.generate([], GREEDY) == []
    several = [SamplingParams(temperature=0, max_tokens=n, ignore_eos=True) for n in (1, 2, 3)]
    assert [len(t) for t in tokens(llm.generate(["a", "b", "c"], several))] == [1, 2, 3]


PROMPTS = ["a", "the quick brown fox jumps over the lazy dog", "你好 🙂", "b" * 30, "def add(a, b):"]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_num_batched_tokens": 1},
        {"max_num_batched_tokens": 16, "max_num_seqs": 2},
        {"max_num_batched_tokens": 7, "num_kv_blocks": 16, "block_size": 4},
        {"num_kv_blocks": 64, "block_size": 1},
    ],
    ids=["batched", "one token a step", "chunks", "preempted", "tiny cache"],
)
def test_same_tokens_however_they_are_scheduled(
    model: Path, options: dict[str, Any], temperature: float
) -> None:
    params = SamplingParams(temperature=temperature, seed=7, max_tokens=30, ignore_eos=True)
    reference = make(model, max_num_seqs=1)
    expected = [tokens(reference.generate(p, params, use_tqdm=False))[0] for p in PROMPTS]
    llm = make(model, **options)
    assert tokens(llm.generate(PROMPTS, params, use_tqdm=False)) == expected
    assert (llm.engine.scheduler.num_preemptions > 0) == ("num_kv_blocks" in options)
    assert is_idle(llm)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 20)), min_size=1, max_size=6),
    st.integers(1, 24),
    st.integers(1, 6),
    st.integers(16, 24),
)
def test_same_tokens_on_any_engine(
    model: Path, sizes: list[tuple[int, int]], budget: int, seqs: int, blocks: int
) -> None:
    prompts: list[Any] = [
        {"prompt_token_ids": list(range(10 + i, 10 + i + n))} for i, (n, _) in enumerate(sizes)
    ]
    params = [SamplingParams(seed=i, max_tokens=m, ignore_eos=True) for i, (_, m) in enumerate(sizes)]
    llm = make(
        model,
        max_num_batched_tokens=budget,
        max_num_seqs=min(seqs, budget),
        num_kv_blocks=blocks,
        block_size=4,
    )
    for prompt, p, found in zip(
        prompts, params, tokens(llm.generate(prompts, params, use_tqdm=False)), strict=True
    ):
        ids = list(prompt["prompt_token_ids"])
        for _ in range(p.max_tokens or 0):
            assert p.seed is not None
            ids.append(
                hashed(ids, SamplingState(1.0, 0, 1.0, p.seed, len(ids), None)) % llm.config.vocab_size
            )
        assert found == ids[len(prompt["prompt_token_ids"]) :]


def test_seeds(model: Path) -> None:
    free = SamplingParams(max_tokens=8, ignore_eos=True)
    first = tokens(make(model).generate(["x", "x"], free, use_tqdm=False))
    assert first[0] != first[1]  # two requests without a seed draw differently
    assert first == tokens(make(model).generate(["x", "x"], free, use_tqdm=False))  # a rerun is the same
    assert first != tokens(make(model, seed=1).generate(["x", "x"], free, use_tqdm=False))
    seeded = SamplingParams(max_tokens=8, ignore_eos=True, seed=-1)
    again = tokens(make(model).generate(["x", "x"], seeded, use_tqdm=False))
    assert again[0] == again[1]


def test_logprobs(model: Path) -> None:
    params = SamplingParams(temperature=0, max_tokens=3, logprobs=2, ignore_eos=True)
    completion = make(model).generate("x", params, use_tqdm=False)[0].outputs[0]
    assert completion.logprobs is not None and len(completion.logprobs) == 3
    for token_id, entry in zip(completion.token_ids, completion.logprobs, strict=True):
        assert len(entry) == 2 and entry[token_id].rank == 1 and entry[token_id].logprob == math.log(0.5)
        assert entry[token_id].decoded_token == TOKENIZER.decode([token_id], skip_special_tokens=False)
    assert completion.cumulative_logprob == pytest.approx(3 * math.log(0.5))
    none_but_sampled = SamplingParams(temperature=0, max_tokens=3, logprobs=0, ignore_eos=True)
    completion = make(model).generate("x", none_but_sampled, use_tqdm=False)[0].outputs[0]
    assert completion.logprobs is not None
    assert [list(entry) for entry in completion.logprobs] == [[t] for t in completion.token_ids]
    assert completion.logprobs[0][completion.token_ids[0]].rank is None


@pytest.mark.parametrize(
    ("params", "text", "reason", "stopped_by"),
    [
        ({"stop": "fox"}, "the quick brown ", "stop", "fox"),
        ({"stop": ["zebra", "k b"], "include_stop_str_in_output": True}, "the quick b", "stop", "k b"),
        ({"max_tokens": 1}, TOKENIZER.decode(TOKENIZER.encode("the quick", False)[:1]), "length", None),
        ({"max_tokens": None}, "the quick brown fox 🙂", "stop", None),
        ({"max_tokens": None, "include_stop_str_in_output": True}, "the quick brown fox 🙂", "stop", None),
        ({"max_tokens": None, "include_stop_str_in_output": True, "skip_special_tokens": False},
         "the quick brown fox 🙂<|end|>", "stop", None),
        ({"max_tokens": None, "stop_token_ids": [FOX], "skip_special_tokens": False},
         "the quick brown", "stop", FOX),
    ],
)  # fmt: skip
def test_how_texts_end(
    model: Path, params: dict[str, Any], text: str, reason: str, stopped_by: object
) -> None:
    llm = make(model, script("the quick brown fox 🙂"))
    options = {"temperature": 0, "max_tokens": 40, **params}
    completion = llm.generate("say:", SamplingParams(**options), use_tqdm=False)[0].outputs[0]
    assert (completion.text, completion.finish_reason, completion.stop_reason) == (text, reason, stopped_by)
    assert is_idle(llm)


def test_ignore_eos_and_the_end_of_the_context(model: Path) -> None:
    llm = make(model, script("x"), max_model_len=20)
    params = SamplingParams(temperature=0, max_tokens=None, ignore_eos=True)
    (output,) = llm.generate("say:", params, use_tqdm=False)
    assert len(output.prompt_token_ids) + len(output.outputs[0].token_ids) == 20
    assert output.outputs[0].finish_reason == "length" and output.outputs[0].text == "x"


def test_model_defaults(tmp_path: Path) -> None:
    other = TOKENIZER.encode("fox", False)[0]
    generation = {"temperature": 0.25, "top_p": 0.5, "top_k": 9, "max_new_tokens": 5, "eos_token_id": [other]}
    llm = make(write_model(tmp_path / "m", generation=generation), script("a fox b"))
    assert llm.get_default_sampling_params() == SamplingParams(
        temperature=0.25, top_p=0.5, top_k=9, max_tokens=5
    )
    assert llm.engine.eos_token_ids == {END, other}
    seen: list[SamplingState] = []
    inner = llm.engine.runner
    assert isinstance(inner, FakeRunner)
    inner.before_step = lambda step: None
    original = inner.next_token
    inner.next_token = lambda prefix, sampling: (seen.append(sampling), original(prefix, sampling))[1]
    llm.generate("say:", use_tqdm=False)
    assert (seen[0].temperature, seen[0].top_p, seen[0].top_k) == (0.25, 0.5, 9) and len(seen) <= 5


BAD_PROMPTS: list[tuple[Any, type[Exception], str]] = [
    ("", ValueError, "the prompt is empty"),
    ({"prompt_token_ids": []}, ValueError, "the prompt is empty; allowed: at least one token"),
    (
        {"prompt_token_ids": [1, -1]},
        ValueError,
        r"prompt_token_ids\[1\] is -1; allowed: an integer from 0 to",
    ),
    (
        {"prompt_token_ids": [10**6]},
        ValueError,
        rf"1000000; allowed: an integer from 0 to {TOKENIZER.vocab_size - 1}",
    ),
    ({"prompt_token_ids": [2**70]}, ValueError, "allowed: an integer"),
    ({"prompt_token_ids": [True]}, ValueError, "True"),
    ({"prompt_token_ids": [1.0]}, ValueError, r"1\.0"),
    ({"prompt_token_ids": ["1"]}, ValueError, "'1'"),
    ({"prompt_token_ids": "12"}, TypeError, "a list of token ids"),
    ({"prompt_token_ids": None}, TypeError, "a list of token ids"),
    (
        {"prompt_token_ids": list(range(64))},
        ValueError,
        r"has 64 tokens; allowed: at most 63.*max_model_len\) is 64",
    ),
    ({"prompt_token_ids": list(range(65))}, ValueError, "has 65 tokens"),
    ({"prompt": 7}, TypeError, "allowed: a string"),
    ({"prompt": "a", "prompt_token_ids": [1]}, TypeError, "allowed: a string"),
    ({}, TypeError, "allowed: a string"),
    (7, TypeError, "7"),
    (None, TypeError, "None"),
    (b"bytes", TypeError, "bytes"),
    ("\ud800", ValueError, "lone surrogate"),
]


@pytest.mark.parametrize(("prompt", "error", "words"), BAD_PROMPTS)
def test_bad_prompts_queue_nothing(model: Path, prompt: Any, error: type[Exception], words: str) -> None:
    llm = make(model)
    with pytest.raises(error, match=r"prompts\[1\]") as caught:
        llm.generate(["fine", prompt], GREEDY, use_tqdm=False)
    assert re.search(words, str(caught.value))
    runner = llm.engine.runner
    assert isinstance(runner, FakeRunner) and runner.batches == [] and is_idle(llm)
    with pytest.raises(error, match="the prompt"):
        llm.stream(prompt, GREEDY)


def test_longest_prompt_that_fits(model: Path) -> None:
    llm = make(model)
    (output,) = llm.generate({"prompt_token_ids": list(range(63))}, GREEDY, use_tqdm=False)
    assert len(output.outputs[0].token_ids) == 1 and output.outputs[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("prompts", "params", "error", "words"),
    [
        ({"a", "b"}, GREEDY, TypeError, "prompts is"),
        (["a", "b"], [GREEDY], ValueError, "1 entries for 2 prompts"),
        ("a", [GREEDY, GREEDY], ValueError, "2 entries for 1 prompts"),
        ("a", {"temperature": 0}, TypeError, "sampling_params"),
        ("a", [None], TypeError, r"sampling_params\[0\]"),
        ("a", SamplingParams(stop_token_ids=[10**6]), ValueError, "stop_token_ids has 1000000"),
    ],
)
def test_bad_calls(model: Path, prompts: Any, params: Any, error: type[Exception], words: str) -> None:
    llm = make(model)
    with pytest.raises(error, match=words):
        llm.generate(prompts, params, use_tqdm=False)
    assert is_idle(llm)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'; allowed: auto, float32"),
        ({"dtype": None}, "dtype is None"),
        ({"max_model_len": 0}, "max_model_len is 0"),
        ({"max_model_len": 65}, "max_model_len is 65; allowed: at most 64"),
        ({"max_model_len": 8.0}, r"max_model_len is 8\.0"),
        ({"max_num_batched_tokens": -1}, "max_num_batched_tokens is -1"),
        ({"max_num_batched_tokens": 8, "max_num_seqs": 9}, "at least max_num_seqs, which is 9"),
        ({"block_size": True}, "block_size is True"),
        ({"kv_cache_memory_bytes": 0}, "kv_cache_memory_bytes is 0"),
        ({"num_kv_blocks": 3}, r"holds 48 tokens \(3 blocks of 16\); needed: max_model_len, which is 64"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_bad_options(model: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(model, **options)


def test_bad_models(tmp_path: Path) -> None:
    with pytest.raises(HubError):
        make(tmp_path / "none")
    write_model(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(ConfigError, match="hidden_size is missing"):
        make(tmp_path / "m")


def test_dtype(model: Path) -> None:
    specs: list[RunnerSpec] = []

    def factory(spec: RunnerSpec) -> FakeRunner:
        specs.append(spec)
        return fake_factory()(spec)

    for dtype in ("auto", "bfloat16", "half"):
        llm = LLM(model, dtype=dtype, max_model_len=32, runner_factory=factory)
    assert [spec.dtype for spec in specs] == ["f32", "bf16", "f16"]
    assert (specs[0].max_model_len, specs[0].max_num_batched_tokens, specs[0].max_num_seqs) == (32, 2048, 128)
    assert specs[0].directory == model and specs[0].config == llm.config


def test_dtype_of_a_config_that_does_not_say(model: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from safetensors.numpy import save_file

    arrays = {"a": np.zeros(9, np.float16), "b": np.zeros(4, np.float32), "c": np.zeros(99, np.int8)}
    save_file(arrays, tmp_path / "model.safetensors")
    assert resolve_dtype("auto", replace(make(model).config, dtype=None), tmp_path) == "f16"


def test_chat(model: Path) -> None:
    llm = make(model, script("hello"))
    messages = [{"role": "user", "content": "say <|end|>:"}]
    (output,) = llm.chat(messages, SamplingParams(temperature=0), use_tqdm=False)
    assert output.prompt_token_ids == llm.apply_chat_template(messages)
    assert output.prompt_token_ids.count(END) == 1
    both = llm.chat([messages, messages[:1]], SamplingParams(temperature=0, max_tokens=2), use_tqdm=False)
    assert len(both) == 2
    with pytest.raises(ValueError, match=r"messages\[0\]\.role"):
        llm.chat([{"content": "x"}])
    with pytest.raises(ValueError, match="non-empty"):
        llm.chat([])
    llm.chat_template = None
    with pytest.raises(ChatTemplateError, match="no chat template"):
        llm.chat(messages)


def test_stream(model: Path) -> None:
    text = "Größe 🙂 END of it"
    llm = make(model, script(text))
    outputs = list(llm.stream("say:", SamplingParams(temperature=0, max_tokens=40)))
    texts = [output.outputs[0].text for output in outputs]
    assert texts[-1] == text and outputs[-1].finished and not any(o.finished for o in outputs[:-1])
    assert all(after.startswith(before) for before, after in pairwise(texts))
    assert not any("\ufffd" in part for part in texts)
    stopped = list(llm.stream("say:", SamplingParams(temperature=0, max_tokens=40, stop="END")))
    assert stopped[-1].outputs[0].text == "Größe 🙂 "
    assert not any("E" in output.outputs[0].text for output in stopped)
    assert is_idle(llm)


def test_a_stream_that_is_left(model: Path) -> None:
    llm = make(model)
    stream = llm.stream("x", GREEDY)
    next(stream)
    with pytest.raises(RuntimeError, match="generating already"):
        llm.generate("y", GREEDY, use_tqdm=False)
    stream.close()  # type: ignore[attr-defined]
    assert is_idle(llm) and len(llm.generate("y", GREEDY, use_tqdm=False)) == 1


def test_threads_take_turns(model: Path) -> None:
    llm = make(model)
    results: dict[int, Any] = {}

    def work(i: int) -> None:
        results[i] = tokens(llm.generate([f"p{i}", "q"], GREEDY, use_tqdm=False))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {
        i: tokens(make(model).generate([f"p{i}", "q"], GREEDY, use_tqdm=False)) for i in range(4)
    }


class Broken(RuntimeError):
    pass


@pytest.mark.parametrize("step", [0, 1, 5])
def test_an_exception_in_a_step_leaves_nothing_behind(model: Path, step: int) -> None:
    llm = make(model)
    runner = llm.engine.runner
    assert isinstance(runner, FakeRunner)

    def fail(at: int) -> None:
        if at == step:
            raise Broken

    runner.before_step = fail
    with pytest.raises(Broken):
        llm.generate(PROMPTS, GREEDY, use_tqdm=False)
    assert is_idle(llm)
    runner.before_step = lambda at: None
    expected = make(model).generate("x", GREEDY, use_tqdm=False)
    assert tokens(llm.generate("x", GREEDY, use_tqdm=False)) == tokens(expected)


def test_ctrl_c_stops_between_steps(model: Path) -> None:
    llm = make(model)
    runner = llm.engine.runner
    assert isinstance(runner, FakeRunner)
    finished_steps: list[int] = []
    original = runner.execute

    def execute(batch: Any) -> Any:
        if len(finished_steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        result = original(batch)
        finished_steps.append(1)  # reached only if the step was not cut short
        return result

    runner.execute = execute  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        llm.generate(PROMPTS, GREEDY, use_tqdm=False)
    assert len(finished_steps) == 4 and is_idle(llm) and signal.getsignal(signal.SIGINT) is before
    assert len(llm.generate("x", GREEDY, use_tqdm=False)) == 1


def test_second_ctrl_c_does_not_wait_for_the_step(model: Path) -> None:
    llm = make(model)
    runner = llm.engine.runner
    assert isinstance(runner, FakeRunner)

    def hang(step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second signal did not end the step")

    runner.before_step = hang
    with pytest.raises(KeyboardInterrupt):
        llm.generate("x", GREEDY, use_tqdm=False)
    assert is_idle(llm)


def test_own_signal_handler_is_called_after_the_step(model: Path) -> None:
    llm = make(model)
    runner = llm.engine.runner
    assert isinstance(runner, FakeRunner)
    events: list[str] = []

    def note(step: int) -> None:
        events.append("step")
        if step == 1:
            os.kill(os.getpid(), signal.SIGINT)
            events.append("after the signal")

    runner.before_step = note
    before = signal.signal(signal.SIGINT, lambda number, frame: events.append("handler"))
    try:
        (output,) = llm.generate("x", GREEDY, use_tqdm=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert events[:5] == ["step", "step", "after the signal", "handler", "step"] and output.finished


def test_a_request_that_never_fits_is_refused_by_the_engine(model: Path) -> None:
    engine = make(model, max_model_len=32).engine
    with pytest.raises(RequestTooLargeError, match="32"):
        engine.scheduler.check_fits(30, 3)
    engine.add_request("a", [1, 2, 3], GREEDY)
    with pytest.raises(ValueError, match="'a'"):
        engine.add_request("a", [1], GREEDY)
    engine.step()
    (output,) = engine.abort_requests(["a", "unknown"])
    assert (
        output.finished
        and output.outputs[0].finish_reason == "abort"
        and len(output.outputs[0].token_ids) == 1
    )
    assert not engine.has_unfinished_requests() and engine.step() == []


def test_progress_is_silent_without_a_terminal(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make(model).generate(["a", "b"], GREEDY)
    assert capfd.readouterr() == ("", "")


def test_progress_bar(
    model: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    make(model).generate(["a", "b"], GREEDY)
    out, err = capfd.readouterr()
    assert out == "" and "2/2" in err and "out" in err


def test_engine_imports_no_framework() -> None:
    code = (
        "import sys; import sapwood.engine.llm, sapwood.models.registry; "
        "bad = {'torch', 'transformers', 'llvmlite', 'jinja2', 'tqdm', 'huggingface_hub'} & {*sys.modules}; "
        "print(sorted(bad)); sys.exit(bool(bad))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_n_texts_are_those_of_their_seeds(model: Path) -> None:
    llm = make(model)
    params = SamplingParams(n=3, seed=5, max_tokens=6, ignore_eos=True)
    outputs = llm.generate(["a", "b"], params, use_tqdm=False)
    for prompt, output in zip(["a", "b"], outputs, strict=True):
        assert [text.index for text in output.outputs] == [0, 1, 2] and output.finished
        for text in output.outputs:
            alone = SamplingParams(seed=5 + text.index, max_tokens=6, ignore_eos=True)
            assert text.token_ids == tokens(llm.generate(prompt, alone, use_tqdm=False))[0]
    assert is_idle(llm)


def test_prompt_logprobs_have_an_entry_for_each_token_but_the_first(model: Path) -> None:
    params = SamplingParams(max_tokens=2, prompt_logprobs=1, n=2)
    for options in ({}, {"max_num_batched_tokens": 3, "max_num_seqs": 2}):
        llm = make(model, **options)
        for _ in range(2):  # the second time the prompt is in the cache
            (output,) = llm.generate("the quick brown fox", params, use_tqdm=False)
            found = output.prompt_logprobs
            assert found is not None and len(found) == len(output.prompt_token_ids) and found[0] is None
            for token_id, entry in zip(output.prompt_token_ids[1:], found[1:], strict=True):
                assert entry is not None and token_id in entry
    assert output.prompt_logprobs is not None


@pytest.mark.parametrize("options", [{}, {"stop": ["o"]}])
def test_streams_of_every_kind_say_the_same(model: Path, options: dict[str, Any]) -> None:
    llm = make(model)
    params = {
        kind: SamplingParams(temperature=0, max_tokens=20, n=2, output_kind=kind, **options)
        for kind in RequestOutputKind
    }
    (expected,) = llm.generate("fox:", params[RequestOutputKind.DELTA], use_tqdm=False)
    everything = list(llm.stream("fox:", params[RequestOutputKind.CUMULATIVE]))
    (final,) = llm.stream("fox:", params[RequestOutputKind.FINAL_ONLY])
    assert everything[-1].outputs == final.outputs == expected.outputs and len(everything) > 1
    deltas = [text for output in llm.stream("fox:", params[RequestOutputKind.DELTA]) for text in output.outputs]
    for text in expected.outputs:
        assert "".join(d.text for d in deltas if d.index == text.index) == text.text
        assert [t for d in deltas if d.index == text.index for t in d.token_ids] == text.token_ids
    assert is_idle(llm)
