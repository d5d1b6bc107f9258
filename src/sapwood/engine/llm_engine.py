"""Requests in, steps, outputs out: everything of the engine that is not the convenience of `LLM`."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from sapwood.engine.interrupts import deferred_interrupt
from sapwood.engine.kv_cache_manager import KVCacheManager
from sapwood.engine.model_runner import ModelRunner
from sapwood.engine.output_processor import OutputProcessor
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import Scheduler, SchedulerConfig
from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.errors import shown

_U64 = 2**64 - 1


class LLMEngine:
    """A scheduler, a runner and an output processor, stepped by the caller; not for several threads.

    eos_token_ids: tokens that end a text by themselves. seed: seeds requests that bring no seed.
    Raises ValueError when the runner's cache cannot hold one sequence of max_model_len tokens.
    """

    def __init__(
        self,
        runner: ModelRunner,
        tokenizer: Tokenizer,
        config: SchedulerConfig,
        *,
        eos_token_ids: Iterable[int] = (),
        seed: int = 0,
    ) -> None:
        if config.max_model_len > runner.max_model_len:
            raise ValueError(
                f"max_model_len is {config.max_model_len}; allowed: at most {runner.max_model_len}, "
                f"which the runner was built for"
            )
        self.runner = runner
        self.tokenizer = tokenizer
        self.eos_token_ids = frozenset(eos_token_ids)
        manager = KVCacheManager(runner.num_blocks, runner.block_size)
        if manager.capacity < config.max_model_len:
            raise ValueError(
                f"the KV cache holds {manager.capacity} tokens ({runner.num_blocks} blocks of "
                f"{runner.block_size}); needed: max_model_len, which is {config.max_model_len}. Lower "
                f"max_model_len or give the cache more memory"
            )
        self.scheduler = Scheduler(config, manager)
        self.output_processor = OutputProcessor(tokenizer)
        self._random = random.Random(seed)

    @property
    def max_model_len(self) -> int:
        return self.scheduler.config.max_model_len

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> int:
        """The most tokens that this prompt may generate.

        Raises ValueError naming the numbers: an empty prompt, an id out of range, no room in the context.
        """
        count, vocab_size = len(prompt_token_ids), self.runner.vocab_size
        if count == 0:
            raise ValueError("the prompt is empty; allowed: at least one token")
        for index, token_id in enumerate(prompt_token_ids):
            if type(token_id) is not int or not 0 <= token_id < vocab_size:
                raise ValueError(
                    f"prompt_token_ids[{index}] is {shown(token_id)}; allowed: an integer from 0 to "
                    f"{vocab_size - 1}"
                )
        for token_id in params.stop_ids:
            if token_id >= vocab_size:
                raise ValueError(f"stop_token_ids has {token_id}; allowed: at most {vocab_size - 1}")
        room = self.max_model_len - count
        if room < 1:
            raise ValueError(
                f"the prompt has {count} tokens; allowed: at most {self.max_model_len - 1}, because the "
                f"context (max_model_len) is {self.max_model_len} and at least one token is generated"
            )
        max_tokens = room if params.max_tokens is None else min(params.max_tokens, room)
        self.scheduler.check_fits(count, max_tokens)
        return max_tokens

    def add_request(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        prompt: str | None = None,
        final_only: bool = False,
    ) -> None:
        """Check and queue a request. Raises ValueError (see `check_prompt`, `Scheduler.add_request`)."""
        request = Request(
            request_id,
            prompt_token_ids,
            params,
            max_tokens=self.check_prompt(prompt_token_ids, params),
            eos_token_ids=self.eos_token_ids,
            seed=self._random.getrandbits(64) if params.seed is None else params.seed & _U64,
        )
        self.scheduler.add_request(request)
        self.output_processor.add_request(request, prompt, final_only)

    def has_unfinished_requests(self) -> bool:
        return self.scheduler.has_unfinished_requests()

    def step(self) -> list[RequestOutput]:
        """Run the model once. Ctrl-C is delivered after the step.

        Returns an output for every request that got a token (for `final_only` ones: their last). After any
        exception the state of a step is unknown: call `reset`.
        """
        with deferred_interrupt():
            scheduled = self.scheduler.schedule()
            if not scheduled.slices:
                return []
            result = self.runner.execute(scheduled.batch)
            updates = self.scheduler.update_from_output(scheduled, result)
            outputs, stopped = self.output_processor.process(updates)
            self.scheduler.finish_requests(stopped, RequestStatus.FINISHED_STOPPED)
        return outputs

    def abort_requests(self, request_ids: Iterable[str]) -> list[RequestOutput]:
        """End requests and free their blocks; returns what they had so far. Unknown ids are ignored."""
        aborted = self.scheduler.finish_requests(request_ids, RequestStatus.FINISHED_ABORTED)
        outputs = [self.output_processor.abort(request) for request in aborted]
        return [output for output in outputs if output is not None]

    def reset(self) -> None:
        """Drop every request and start with a fresh block pool, whatever state a failed step left."""
        self.scheduler.reset()
        self.output_processor.clear()
