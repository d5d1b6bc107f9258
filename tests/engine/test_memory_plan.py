"""The memory plan: to the byte what is allocated, never more than there is, and held when the engine runs."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from sapwood import demo_model
from sapwood.engine.compiled_runner import CompiledRunner
from sapwood.engine.memory_plan import PROCESS_BYTES, SPARE_BYTES, max_concurrency, plan_memory
from sapwood.engine.model_runner import RunnerSpec
from sapwood.models.registry import load_model_config
from sapwood.nn.module import Buffer

MIB = 1 << 20
BLOCK_BYTES = 24 * 1024  # of the demo model in bf16


def spec(**changes: Any) -> RunnerSpec:
    values: dict[str, Any] = {
        "directory": demo_model(), "config": load_model_config(demo_model()), "dtype": "bf16", "max_model_len": 160,
        "max_num_batched_tokens": 64, "max_num_seqs": 4, "block_size": 16,
    }  # fmt: skip
    return RunnerSpec(**(values | changes))


@pytest.mark.parametrize(
    "changes",
    [{}, {"dtype": "f32", "num_blocks": 13}, {"max_num_batched_tokens": 7, "max_num_seqs": 7, "max_model_len": 33}],
    ids=str,
)
def test_is_what_the_runner_allocates(changes: dict[str, Any]):
    planned = plan_memory(spec(**changes), 4 << 30)
    runner = CompiledRunner(spec(**changes))
    plan = runner.memory_plan
    assert plan == planned.plan
    names = dict(runner.model.named_data())
    buffers = {id(b): (n, b) for n, b in names.items() if isinstance(b, Buffer)}.values()
    caches = sum(b.array.nbytes for n, b in buffers if n.endswith((".keys", ".values")))
    tables = sum(b.array.nbytes for n, b in buffers if not n.endswith((".keys", ".values")))
    assert plan.kv_bytes == caches == plan.num_blocks * plan.block_bytes
    others = [*runner.inputs.arrays.values(), *runner.sampler.arrays.values(), runner.logits]
    assert plan.arena_bytes == runner.program.arena_bytes + tables + sum(a.nbytes for a in others)
    assert plan.weights_bytes == sum(p.array.nbytes for p in runner.model.parameters())
    assert planned.mapped_bytes == (plan.weights_bytes if spec(**changes).dtype == runner.config.dtype else 0)
    assert runner.num_blocks == plan.num_blocks and runner.max_logit_rows == planned.max_logit_rows


def test_number_of_blocks():
    def blocks(available: int = 4 << 30, **changes: Any) -> int:
        return plan_memory(spec(**changes), available).plan.num_blocks

    (block,) = {plan_memory(spec(num_blocks=n), 4 << 30).plan.block_bytes for n in (1, 50)}
    assert blocks() == 40  # 4 sequences of 160 tokens
    assert blocks(num_blocks=3) == 3
    assert blocks(kv_cache_memory_bytes=5 * block + block - 1) == 5
    with pytest.raises(ValueError, match=rf"kv_cache_memory_bytes is {block - 1}; one block needs {block}"):
        blocks(kv_cache_memory_bytes=block - 1)
    base = plan_memory(spec(num_blocks=1), 4 << 30).needed_bytes - block
    assert blocks(base + SPARE_BYTES + 17 * block) == 17  # as many as memory allows, and some is spared
    assert blocks(base + SPARE_BYTES) == 10  # never fewer than one sequence needs
    assert blocks(base + 10 * block) == 10
    plan = plan_memory(spec(), 4 << 30).plan
    assert max_concurrency(plan, 160) == 4.0 and max_concurrency(plan, 200) == 3.2


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "lower max_model_len to at most 144"),
        ({"num_blocks": 10}, "lower num_kv_blocks to at most 9"),
        ({"kv_cache_memory_bytes": 10 * BLOCK_BYTES}, f"lower kv_cache_memory_bytes to at most {9 * BLOCK_BYTES}"),
    ],
    ids=str,
)
def test_refuses_what_does_not_fit(changes: dict[str, Any], advice: str):
    fits = plan_memory(spec(num_blocks=10), 4 << 30)
    assert fits.plan.block_bytes == BLOCK_BYTES
    assert plan_memory(spec(**changes), fits.needed_bytes).plan == fits.plan
    with pytest.raises(ValueError, match=advice) as caught:
        plan_memory(spec(**changes), fits.needed_bytes - 1)
    for part in ("not enough memory", "needed (weights", "working memory", "KV cache", "available"):
        assert part in str(caught.value)


def test_says_what_to_do_when_the_model_alone_is_too_large():
    with pytest.raises(ValueError, match="lower max_num_batched_tokens or max_num_seqs, or take a smaller model"):
        plan_memory(spec(), PROCESS_BYTES)
    with pytest.raises(ValueError, match="block_size is 32; allowed: 16"):
        plan_memory(spec(block_size=32))


def test_asks_the_system(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sapwood.engine.memory_plan.available_memory", lambda: 100 * MIB)
    with pytest.raises(ValueError, match=r"100\.0 MiB available"):
        CompiledRunner(spec())


def test_lines_for_people():
    lines = "\n".join(plan_memory(spec(num_blocks=30), 4 << 30).lines())
    for part in ("4.00 GiB", "bf16, mapped from the checkpoint", "steps of 64 tokens, 4 sequences", "720.0 KiB"):
        assert part in lines
    assert "30 blocks of 16 tokens" in lines and "3.0 requests of 160 tokens" in lines
    assert "converted when loaded" in "\n".join(plan_memory(spec(dtype="f32"), 4 << 30).lines())


MEASURE = """
from sapwood import demo_model
from sapwood.engine.compiled_runner import CompiledRunner
from sapwood.engine.model_runner import *
from sapwood.models.registry import load_model_config

def resident(name="VmRSS"):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(name))

def step(first):
    table = list(range(first, first + 64))
    runner.execute(StepBatch([SequenceSlice([1] * 1024, 0, table, state, PromptLogprobs([1] * 100, 5))]))

config = load_model_config(demo_model())
runner = CompiledRunner(RunnerSpec(demo_model(), config, "bf16", 1024, 1024, 8, 16, num_blocks=16384))
change = LogitAdjustments([1], [2], 1.1, 0.0, 0.0, {}, frozenset())
state = SamplingState(1.0, 0, 0.9, 1, 5, 5, 0.0, change)
step(0)
before = resident()
for first in range(64, 64 * 9, 64):
    step(first)
p = runner.memory_plan
print(resident("VmHWM"), p.weights_bytes + p.arena_bytes, resident() - before, p.block_bytes, p.kv_bytes)
"""


def test_the_process_keeps_to_the_plan():
    """Weights, working memory, the blocks that were used and 150 MB; a block takes no memory before it is used."""
    for limit in (PROCESS_BYTES + 64 * MIB, PROCESS_BYTES):  # the first one may have to compile
        run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
        peak, fixed, grown, block, cache = map(int, run.stdout.split())
        assert cache == 16384 * block > 300 * MIB
        assert peak <= fixed + 9 * 64 * block + limit
        assert math.isclose(grown, 8 * 64 * block, abs_tol=4 * MIB)
