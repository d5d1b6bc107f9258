from __future__ import annotations

import json

import pytest

from sapwood import LLM, SamplingParams, demo_model


@pytest.fixture(scope="module")
def llm():
    return LLM(demo_model(), max_num_seqs=16)


def test_each_text_is_what_it_would_be_alone(run_example, tmp_path, llm):
    prompts = ["def close(self):", "import os", "x = 1", "    return"]
    (tmp_path / "prompts.txt").write_text("\n".join(prompts))
    assert run_example("batch_generation", "prompts.txt", "--output", "out.jsonl", "--max-tokens", "12") == ""
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["prompt"] for line in lines] == prompts
    params = SamplingParams(temperature=0.7, top_p=0.95, seed=1, max_tokens=12)
    for line in lines:
        alone = llm.generate(line["prompt"], params)[0].outputs[0]
        assert (line["text"], line["finish_reason"]) == (alone.text, alone.finish_reason)


def test_without_a_file(run_example):
    lines = [json.loads(line) for line in run_example("batch_generation", "--max-tokens", "4").splitlines()]
    assert len(lines) == 6
    assert all(line["text"] for line in lines)
