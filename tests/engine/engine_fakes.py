"""A model runner without a model, and a small tokenizer: everything that the engine needs to be tested."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from sapwood.engine.model_runner import (
    PromptLogprobs,
    RunnerSpec,
    SampledToken,
    SamplingState,
    SequenceSlice,
    StepBatch,
    StepOutput,
    TokenLogprobs,
)
from sapwood.engine.tokenizer import Tokenizer

NextToken = Callable[[list[int], SamplingState], int]


def hashed(prefix: list[int], sampling: SamplingState) -> int:
    """A pure function of the prefix and of everything that sampling depends on."""
    key = [0, 0] if sampling.temperature == 0 else [sampling.seed, sampling.position]
    adjustments = sampling.adjustments
    changes = None
    if adjustments is not None:
        changes = [adjustments.repetition_penalty, adjustments.presence_penalty, adjustments.frequency_penalty]
        changes += [sorted(adjustments.logit_bias.items())]
    text = json.dumps([prefix, key, sampling.top_k, sampling.top_p, sampling.min_p, changes])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def chained(digest: int, position: int, token_id: int) -> int:
    """What the fake stores for a token besides itself: like keys and values, it depends on all tokens before it."""
    return hash((digest, position, token_id))


class FakeRunner:
    """Stores tokens where a model would store keys and values, and reads them back through block tables.

    A block that holds another sequence's tokens, a stale table, a position that was never computed, or a write to a
    block that somebody else reads is an assertion or changes the tokens.
    """

    def __init__(
        self,
        *,
        vocab_size: int = 1000,
        max_model_len: int = 64,
        block_size: int = 4,
        num_blocks: int = 64,
        max_num_batched_tokens: int = 10**9,
        max_logit_rows: int = 10**9,
        numerics_id: str = "fake",
        next_token: NextToken = hashed,
    ) -> None:
        self.vocab_size = vocab_size
        self.max_model_len = max_model_len
        self.block_size = block_size
        self.num_blocks = num_blocks
        self.max_num_batched_tokens = max_num_batched_tokens
        self.max_logit_rows = max_logit_rows
        self.numerics_id = numerics_id
        self.next_token = next_token
        self.cache: dict[tuple[int, int], tuple[int, int, int]] = {}  # (block, slot) -> position, token, digest
        self.batches: list[StepBatch] = []
        self.before_step: Callable[[int], None] = lambda step: None
        self.after_writing: Callable[[int], None] = lambda step: None  # the cache is written, nothing sampled

    def execute(self, batch: StepBatch) -> StepOutput:
        step = len(self.batches)
        self.before_step(step)
        self.batches.append(batch)
        assert 0 < batch.num_tokens <= self.max_num_batched_tokens
        assert batch.num_logit_rows <= self.max_logit_rows
        self._check_tables(batch)
        for s in batch.slices:
            _, digest = self._read(s.block_table, s.start)
            for position, token_id in enumerate(s.token_ids, start=s.start):
                digest = chained(digest, position, token_id)
                self.cache[self._place(s.block_table, position)] = (position, token_id, digest)
        self.after_writing(step)
        output = StepOutput([self._sample(s) for s in batch.slices])
        for i, s in enumerate(batch.slices):
            if s.prompt_logprobs is not None:
                output.prompt_logprobs[i] = self._prompt_logprobs(s, s.prompt_logprobs)
        return output

    def _place(self, table: list[int], position: int) -> tuple[int, int]:
        return table[position // self.block_size], position % self.block_size

    def _check_tables(self, batch: StepBatch) -> None:
        readers: dict[int, int] = {}
        for s in batch.slices:
            assert s.token_ids and len(s.block_table) == len(set(s.block_table))
            assert all(0 <= block < self.num_blocks for block in s.block_table)
            for block in s.block_table:
                readers[block] = readers.get(block, 0) + 1
        for s in batch.slices:
            end = s.start + len(s.token_ids)
            for block in s.block_table[s.start // self.block_size : -(-end // self.block_size)]:
                assert readers[block] == 1, "a block that is written is in two tables"

    def _read(self, table: list[int], count: int) -> tuple[list[int], int]:
        """The tokens of the first `count` positions and the digest of the last, all of it checked."""
        prefix: list[int] = []
        digest = 0
        for position in range(count):
            stored, token_id, found = self.cache[self._place(table, position)]
            digest = chained(digest, position, token_id)
            assert (stored, found) == (position, digest), "the cache holds another sequence's keys and values"
            prefix.append(token_id)
        return prefix, digest

    def _sample(self, s: SequenceSlice) -> SampledToken | None:
        sampling = s.sampling
        if sampling is None:
            return None
        count = s.start + len(s.token_ids)
        assert sampling.position == count
        prefix, _ = self._read(s.block_table, count)
        token_id = self.next_token(prefix, sampling) % self.vocab_size
        adjustments = sampling.adjustments
        if adjustments is not None:
            history = [*adjustments.prompt_token_ids, *adjustments.output_token_ids]
            assert history in ([], prefix), "penalties see another history than the cache"
            while token_id in adjustments.banned_token_ids:
                token_id = (token_id + 1) % self.vocab_size
        if sampling.logprobs is None:
            return SampledToken(token_id)
        return SampledToken(token_id, math.log(0.5), self._top(token_id, sampling.logprobs))

    def _top(self, token_id: int, count: int) -> tuple[tuple[int, float], ...]:
        return tuple(((token_id + i) % self.vocab_size, math.log(0.5 ** (i + 1))) for i in range(count))

    def _prompt_logprobs(self, s: SequenceSlice, asked: PromptLogprobs) -> list[TokenLogprobs]:
        assert len(asked.targets) <= len(s.token_ids)
        prefix, _ = self._read(s.block_table, s.start + len(asked.targets))
        return [
            TokenLogprobs(target, prompt_logprob(prefix[: s.start + i + 1], target), self._top(target, asked.count))
            for i, target in enumerate(asked.targets)
        ]


def prompt_logprob(prefix: list[int], target: int) -> float:
    """What the fake answers for a prompt token: a pure function of it and the tokens before it."""
    return -float(zlib.crc32(json.dumps([prefix, target]).encode()))


CORPUS = [
    "The quick brown fox jumps over the lazy dog. def add(a, b):\n    return a + b\n",
    "Größe, café, naïve, 你好,世界! こんにちは 🙂🙃 👩‍👩‍👧 🇩🇪 and more text, over and over again.\n",
] * 4
SPECIALS = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@lru_cache(maxsize=1)
def tokenizer_json() -> str:
    """A byte-level BPE tokenizer that begins documents with <|begin|>; about 400 tokens."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(CORPUS, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", inner.token_to_id("<|begin|>"))]
    )
    return inner.to_str()


def make_tokenizer() -> Tokenizer:
    return Tokenizer(
        tokenizers.Tokenizer.from_str(tokenizer_json()), bos_token="<|begin|>", eos_token="<|end|>"
    )


@lru_cache(maxsize=1)
def sentencepiece_json() -> str:
    """A tokenizer in the manner of Llama 2: word-start marks, byte fallback, one leading space stripped."""
    pieces = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{i:02X}>" for i in range(256)),
        "▁",
        "▁world",
        "▁the",
        *"abcdehlorstw,.",
    ]
    inner = tokenizers.Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate(pieces)},
            merges=[],
            byte_fallback=True,
            unk_token="<unk>",
        )
    )
    inner.add_special_tokens(["<s>", "</s>"])
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return inner.to_str()


def write_model(
    directory: Path, *, max_position_embeddings: int = 64, generation: dict[str, object] | None = None
) -> Path:
    """A model directory that is complete but for its weights."""
    tokenizer = make_tokenizer()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": tokenizer.vocab_size,
        "max_position_embeddings": max_position_embeddings,
        "rms_norm_eps": 1e-5,
        "torch_dtype": "float32",
        "eos_token_id": tokenizer.special_tokens["<|end|>"],
    }
    tokenizer_config = {
        "bos_token": "<|begin|>",
        "eos_token": {"content": "<|end|>", "lstrip": False},
        "chat_template": TEMPLATE,
    }
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text(tokenizer_json())
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    if generation is not None:
        (directory / "generation_config.json").write_text(json.dumps(generation))
    return directory


def fake_factory(**changes: object) -> Callable[[RunnerSpec], FakeRunner]:
    """A runner factory for `LLM`; `changes` override what the spec says."""

    def create(spec: RunnerSpec) -> FakeRunner:
        values: dict[str, object] = {
            "vocab_size": spec.config.vocab_size,
            "max_model_len": spec.max_model_len,
            "block_size": spec.block_size,
            "num_blocks": spec.num_blocks or 4 * -(-spec.max_model_len // spec.block_size),
            "max_num_batched_tokens": spec.max_num_batched_tokens,
        }
        return FakeRunner(**(values | changes))  # type: ignore[arg-type]

    return create
