"""How to choose tokens and when to stop: vLLM's names and meanings, every value checked where it is given."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, SupportsIndex

from sapwood.models.errors import shown

MAX_TEMPERATURE = 100.0
MIN_TEMPERATURE = 0.01  # smaller ones would overflow float32 logits
MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 64
MAX_STOP_LENGTH = 1024
MAX_STOP_TOKEN_IDS = 1024
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


def _stop_ids(value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > MAX_STOP_TOKEN_IDS:
        _reject("stop_token_ids", value, f"a list of at most {MAX_STOP_TOKEN_IDS} token ids")
    return tuple(_integer("an element of stop_token_ids", item, 0, INT_MAX) for item in value)


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """Immutable; lists become tuples. Raises ValueError naming the field, what was given and what is allowed.

    temperature: 0 is greedy; at most 100. Values between 0 and 0.01 act as 0.01.
    top_p: in (0, 1]; the smallest set of tokens whose probability reaches it is kept.
    top_k: the number of tokens kept; 0 or -1 keeps all.
    seed: any integer from -2**63 to 2**64 - 1. None draws one from the engine's seed.
    stop: strings that end the text; they are not part of it unless `include_stop_str_in_output`.
    stop_token_ids: tokens that end the text, besides the model's own end-of-sequence tokens.
    ignore_eos: go on after the model's own end-of-sequence tokens.
    max_tokens: the most tokens generated; None means up to the end of the context.
    logprobs: None, or the number of most likely tokens (0 to 20) reported besides the sampled one. They are
        taken from the model's raw distribution, before temperature, top_k and top_p.
    skip_special_tokens: leave special tokens out of the text.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    logprobs: int | None = None
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False

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
        if self.seed is not None:
            self._set("seed", _integer("seed", self.seed, -(2**63), 2**64 - 1))
        self._set("stop", _stop_strings(self.stop))
        self._set("stop_token_ids", _stop_ids(self.stop_token_ids))
        if self.max_tokens is not None:
            self._set("max_tokens", _integer("max_tokens", self.max_tokens, 1, INT_MAX))
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
