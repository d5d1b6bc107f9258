"""Which requests an engine can run at all. Asked where a request comes in, and again by the engine itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import RequestTooLargeError
from sapwood.models.errors import shown


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """max_model_len: tokens of prompt and output together. eos_token_ids: the model's own end tokens."""

    vocab_size: int
    max_model_len: int
    eos_token_ids: frozenset[int] = frozenset()

    def check(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> int:
        """The most tokens that this prompt may generate.

        Raises ValueError naming the numbers: an empty prompt, an id out of range, no room in the context
        (RequestTooLargeError).
        """
        count = len(prompt_token_ids)
        if count == 0:
            raise ValueError("the prompt is empty; allowed: at least one token")
        self.check_tokens("prompt_token_ids", prompt_token_ids)
        self._check_params(params)
        room = self.max_model_len - count
        if room < 1:
            raise RequestTooLargeError(
                f"the prompt has {count} tokens; allowed: at most {self.max_model_len - 1}, because the context "
                f"(max_model_len) is {self.max_model_len} and at least one token is generated"
            )
        return room if params.max_tokens is None else min(params.max_tokens, room)

    def check_tokens(self, name: str, token_ids: Sequence[int]) -> None:
        """Raise ValueError for the first of at least one that is no token id."""
        # Looked at as a whole first: prompts are long, and this runs where many clients wait.
        distinct = {*token_ids}
        if {*map(type, token_ids)} == {int} and min(distinct) >= 0 and max(distinct) < self.vocab_size:
            return
        for index, token_id in enumerate(token_ids):
            if type(token_id) is not int or not 0 <= token_id < self.vocab_size:
                raise ValueError(
                    f"{name}[{index}] is {shown(token_id)}; allowed: an integer from 0 to {self.vocab_size - 1}"
                )

    def _check_params(self, params: SamplingParams) -> None:
        """What SamplingParams cannot know: the size of the vocabulary and the end tokens."""
        for name, ids in (("stop_token_ids", params.stop_ids), ("logit_bias", params.logit_bias or ())):
            for token_id in ids:
                if token_id >= self.vocab_size:
                    raise ValueError(f"{name} has {token_id}; allowed: at most {self.vocab_size - 1}")
        ends = params.stop_ids if params.ignore_eos else params.stop_ids | self.eos_token_ids
        if params.min_tokens and len(ends) >= self.vocab_size:
            raise ValueError(
                f"min_tokens is {params.min_tokens} and every token of the vocabulary ends the text; allowed: 0"
            )
