"""What is asked: random prompts of exact length, shared prefixes, conversations, and recorded prompts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sapwood.loadgen.vocabulary import Vocabulary


class WorkloadError(ValueError):
    """The workload that was asked for cannot be made."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request: a text, or token ids, or whole messages; and how many tokens to ask for (None: no limit)."""

    text: str = ""
    token_ids: Sequence[int] | None = None
    messages: Sequence[dict[str, Any]] | None = None
    output_len: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    turns: Sequence[Turn]


@dataclass(frozen=True, slots=True)
class RandomSpec:
    """Lengths are tokens. A prompt is one of `num_prefixes` shared prefixes and `input_len` random tokens.

    range_ratio: lengths are drawn evenly from (1 - r) to (1 + r) times the given ones. turns: requests of a
    conversation; later ones bring `input_len` tokens each, and all that was said before.
    """

    input_len: int = 128
    output_len: int = 64
    prefix_len: int = 0
    num_prefixes: int = 1
    range_ratio: float = 0.0
    turns: int = 1
    as_ids: bool = False


def random_conversations(spec: RandomSpec, vocabulary: Vocabulary, seed: int) -> Iterator[Conversation]:
    """Conversations of random words, for ever; the same seed and vocabulary give the same ones.

    Raises VocabularyError at once if no words have the length that is asked for.
    """
    rng = random.Random(seed)
    prefixes = [vocabulary.sample(rng, spec.prefix_len) for _ in range(spec.num_prefixes)] if spec.prefix_len else []

    def length(mean: int) -> int:
        ratio = spec.range_ratio
        return rng.randint(max(1, round(mean * (1 - ratio))), max(1, round(mean * (1 + ratio))))

    def conversation() -> Conversation:
        turns = []
        for number in range(spec.turns):
            words = list(rng.choice(prefixes)) if prefixes and number == 0 else []
            follows = bool(words) or number > 0
            words += vocabulary.sample(rng, length(spec.input_len), follows=follows)
            ids = vocabulary.ids(words, follows=number > 0) if spec.as_ids else None
            turns.append(Turn(" ".join(words), token_ids=ids, output_len=length(spec.output_len)))
        return Conversation(turns)

    first = conversation()
    return itertools.chain([first], iter(conversation, None))


def read_prompts(path: Path, output_len: int | None) -> list[Conversation]:
    """A JSONL file: {"prompt": text} or {"messages": [...]}, with "max_tokens" or else `output_len`.

    Raises WorkloadError naming the line of a mistake.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkloadError(f"{path}: {error}") from None
    found: list[Conversation] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            item = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise WorkloadError(f"{where}: not JSON: {error}") from None
        if not isinstance(item, dict):
            raise WorkloadError(f"{where}: an object is needed, with prompt or messages")
        limit = item.get("max_tokens", item.get("output_tokens", output_len))
        if limit is not None and (type(limit) is not int or limit < 1):
            raise WorkloadError(f"{where}: max_tokens is {limit!r}; allowed: an integer of at least 1")
        prompt, messages = item.get("prompt"), item.get("messages")
        if isinstance(prompt, str) and prompt and messages is None:
            found.append(Conversation([Turn(prompt, output_len=limit)]))
        elif prompt is None and isinstance(messages, list) and messages and all(isinstance(m, dict) for m in messages):
            found.append(Conversation([Turn(messages=messages, output_len=limit)]))
        else:
            raise WorkloadError(f"{where}: one of prompt (a text) and messages (a list of objects) is needed")
    if not found:
        raise WorkloadError(f"{path}: there is no prompt in it")
    return found
