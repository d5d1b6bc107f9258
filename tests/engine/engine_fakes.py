"""A model runner without a model, and a small tokenizer: everything that the engine needs to be tested."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from sapwood.engine.model_runner import RunnerSpec, SampledToken, SamplingState, StepBatch, StepOutput
from sapwood.engine.tokenizer import Tokenizer

NextToken = Callable[[list[int], SamplingState], int]


def hashed(prefix: list[int], sampling: SamplingState) -> int:
    """A pure function of the prefix, and of (seed, position) unless greedy."""
    key = [0, 0] if sampling.temperature == 0 else [sampling.seed, sampling.position]
    text = json.dumps([prefix, key, sampling.top_k, sampling.top_p])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


class FakeRunner:
    """Stores tokens where a model would store keys and values, and reads them back through block tables.

    A block that two sequences share, a stale table or a wrong position therefore changes the tokens.
    """

    def __init__(
        self,
        *,
        vocab_size: int = 1000,
        max_model_len: int = 64,
        block_size: int = 4,
        num_blocks: int = 64,
        max_num_batched_tokens: int = 10**9,
        next_token: NextToken = hashed,
    ) -> None:
        self.vocab_size = vocab_size
        self.max_model_len = max_model_len
        self.block_size = block_size
        self.num_blocks = num_blocks
        self.max_num_batched_tokens = max_num_batched_tokens
        self.next_token = next_token
        self.cache: dict[tuple[int, int], tuple[int, int]] = {}
        self.batches: list[StepBatch] = []
        self.before_step: Callable[[int], None] = lambda step: None

    def execute(self, batch: StepBatch) -> StepOutput:
        self.before_step(len(self.batches))
        self.batches.append(batch)
        assert 0 < batch.num_tokens <= self.max_num_batched_tokens
        owners: dict[int, int] = {}
        for i, s in enumerate(batch.slices):
            assert s.token_ids and len(s.block_table) == len(set(s.block_table))
            assert all(0 <= block < self.num_blocks for block in s.block_table)
            for block in s.block_table:
                assert owners.setdefault(block, i) == i, "a block is in two tables"
            for position, token_id in enumerate(s.token_ids, start=s.start):
                place = (s.block_table[position // self.block_size], position % self.block_size)
                self.cache[place] = (position, token_id)
        return StepOutput(
            [self._sample(s.block_table, s.start + len(s.token_ids), s.sampling) for s in batch.slices]
        )

    def _sample(self, table: list[int], count: int, sampling: SamplingState | None) -> SampledToken | None:
        if sampling is None:
            return None
        assert sampling.position == count
        prefix: list[int] = []
        for position in range(count):
            stored, token_id = self.cache[table[position // self.block_size], position % self.block_size]
            assert stored == position
            prefix.append(token_id)
        token_id = self.next_token(prefix, sampling) % self.vocab_size
        if sampling.logprobs is None:
            return SampledToken(token_id)
        top = tuple(
            ((token_id + i) % self.vocab_size, math.log(0.5 ** (i + 1))) for i in range(sampling.logprobs)
        )
        return SampledToken(token_id, math.log(0.5), top)


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
