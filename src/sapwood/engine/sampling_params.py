"""How to choose tokens and when to stop: vLLM's names and meanings, every value checked where it is given."""

from __future__ import annotations

import enum
import math
import numbers
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, SupportsIndex

from sapwood.models.errors import shown

MAX_TEMPERATURE = 100.0
MIN_TEMPERATURE = 0.01  # smaller ones would overflow float32 logits
MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 64
MAX_STOP_LENGTH = 1024
MAX_STOP_TOKEN_IDS = 1024
MAX_LOGIT_BIAS = 1024
MAX_N = 64
INT_MAX = 2**31 - 1


def _reject(name: str, value: object, allowed: str) -> NoReturn:
    raise ValueError(f"{name} is {shown(value)}; allowed: {allowed}")


def _integer(name: str, value: object, least: int, most: int) -> int:
    allowed = f"an integer from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        _reject(name, value, allowed)
    number = operator.index(value)
    if not least <= number <= most:
        _reject(name, number, allowed)
    return number


def _number(name: str, value: object, allowed: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        _reject(name, value, allowed)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        _reject(name, value, allowed)
    return number


def _ranged(name: str, value: object, least: float, most: float) -> float:
    allowed = f"a number from {least:g} to {most:g}"
    number = _number(name, value, allowed)
    if not least <= number <= most:
        _reject(name, number, allowed)
    return number


def _stop_strings(value: object) -> tuple[str, ...]:
    allowed = f"a string or a list of at most {MAX_STOP_STRINGS}, each of 1 to {MAX_STOP_LENGTH} characters"
    if value is None:
        return ()
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or len(items) > MAX_STOP_STRINGS:
        _reject("stop", value, allowed)
    for item in items:
        if not isinstance(item, str) or not 1 <= len(item) <= MAX_STOP_LENGTH:
            _reject("an element of stop", item, allowed)
    return tuple(items)


def _logit_bias(value: object) -> dict[int, float]:
    allowed = f"an object of at most {MAX_LOGIT_BIAS} token ids, each with a number from -100 to 100"
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_LOGIT_BIAS:
        _reject("logit_bias", value, allowed)
    found: dict[int, float] = {}
    for key, bias in value.items():
        if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 10:
            key = int(key)  # JSON has no other keys than strings
        token_id = _integer("a key of logit_bias", key, 0, INT_MAX)
        found[token_id] = _ranged("a value of logit_bias", bias, -100.0, 100.0)
    return found


def _stop_ids(value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > MAX_STOP_TOKEN_IDS:
        _reject("stop_token_ids", value, f"a list of at most {MAX_STOP_TOKEN_IDS} token ids")
    return tuple(_integer("an element of stop_token_ids", item, 0, INT_MAX) for item in value)


class RequestOutputKind(enum.IntEnum):
    """What each output of a request holds: everything so far, what is new, or nothing before the end."""

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """Immutable; lists become tuples. Raises ValueError naming the field, what was given and what is allowed.

    temperature: 0 is greedy; at most 100. Values between 0 and 0.01 act as 0.01.
    top_p: in (0, 1]; the smallest set of tokens whose probability reaches it is kept.
    top_k: the number of tokens kept; 0 or -1 keeps all.
    min_p: in [0, 1]; tokens less likely than min_p times the likeliest one are left out. 0 keeps all. After
        temperature, min_p acts first, then top_k, then top_p on what these have left (vLLM's order).
    repetition_penalty: above 0, at most 10; logits of tokens in the prompt or the output are divided by it when
        positive and multiplied when negative (Keskar et al., CTRL, 2019). 1 changes nothing.
    presence_penalty, frequency_penalty: from -2 to 2; subtracted from the logits of tokens in the output, once, and
        once for each time they occur (OpenAI). Penalties and biases act before temperature, also when greedy.
    logit_bias: token id -> number from -100 to 100 that is added to its logit.
    n: how many texts, 1 to 64; text i samples with seed + i.
    seed: any integer from -2**63 to 2**64 - 1. None draws one from the engine's seed.
    stop: strings that end the text; they are not part of it unless `include_stop_str_in_output`.
    stop_token_ids: tokens that end the text, besides the model's own end-of-sequence tokens.
    ignore_eos: go on after the model's own end-of-sequence tokens.
    max_tokens: the most tokens generated; None means up to the end of the context.
    min_tokens: end tokens and stop tokens are not sampled, and stop strings not searched, before so many tokens.
    prompt_logprobs: like logprobs, for each token of the prompt but the first.
    output_kind: what each output holds. DELTA outputs name only texts that changed.
    logprobs: None, or the number of most likely tokens (0 to 20) reported besides the sampled one. They are
        taken from the model's raw distribution, before temperature, top_k and top_p.
    skip_special_tokens: leave special tokens out of the text.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = field(default=None, hash=False)
    n: int = 1
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE

    def __post_init__(self) -> None:
        allowed = f"a number from 0 (greedy) to {MAX_TEMPERATURE:g}"
        temperature = _number("temperature", self.temperature, allowed)
        if not 0.0 <= temperature <= MAX_TEMPERATURE:
            _reject("temperature", temperature, allowed)
        self._set("temperature", max(temperature, MIN_TEMPERATURE) if temperature else 0.0)
        allowed = "a number above 0, at most 1"
        top_p = _number("top_p", self.top_p, allowed)
        if not 0.0 < top_p <= 1.0:
            _reject("top_p", top_p, allowed)
        self._set("top_p", top_p)
        self._set("top_k", max(_integer("top_k", self.top_k, -1, INT_MAX), 0))
        self._set("min_p", _ranged("min_p", self.min_p, 0.0, 1.0))
        repetition = _number("repetition_penalty", self.repetition_penalty, "a number above 0, at most 10")
        if not 0.0 < repetition <= 10.0:
            _reject("repetition_penalty", repetition, "a number above 0, at most 10")
        self._set("repetition_penalty", repetition)
        for name in ("presence_penalty", "frequency_penalty"):
            self._set(name, _ranged(name, getattr(self, name), -2.0, 2.0))
        self._set("logit_bias", _logit_bias(self.logit_bias))
        self._set("n", _integer("n", self.n, 1, MAX_N))
        if self.seed is not None:
            self._set("seed", _integer("seed", self.seed, -(2**63), 2**64 - 1))
        self._set("stop", _stop_strings(self.stop))
        self._set("stop_token_ids", _stop_ids(self.stop_token_ids))
        if self.max_tokens is not None:
            self._set("max_tokens", _integer("max_tokens", self.max_tokens, 1, INT_MAX))
        self._set("min_tokens", _integer("min_tokens", self.min_tokens, 0, INT_MAX))
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            _reject("min_tokens", self.min_tokens, f"at most max_tokens, which is {self.max_tokens}")
        if self.prompt_logprobs is not None:
            self._set("prompt_logprobs", _integer("prompt_logprobs", self.prompt_logprobs, 0, MAX_LOGPROBS))
        if not isinstance(self.output_kind, RequestOutputKind):
            _reject("output_kind", self.output_kind, "a RequestOutputKind")
        if self.logprobs is not None:
            self._set("logprobs", _integer("logprobs", self.logprobs, 0, MAX_LOGPROBS))
        for name in ("ignore_eos", "skip_special_tokens", "include_stop_str_in_output"):
            if not isinstance(getattr(self, name), bool):
                _reject(name, getattr(self, name), "True or False")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """`stop` as it was normalised."""
        return _stop_strings(self.stop)

    @property
    def stop_ids(self) -> frozenset[int]:
        """`stop_token_ids` as a set."""
        return frozenset(self.stop_token_ids or ())
