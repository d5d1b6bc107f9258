"""Requests in, steps, outputs out: everything of the engine that is not the convenience of `LLM`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sapwood.engine.client import EngineError
from sapwood.engine.engine_core import EngineCore
from sapwood.engine.interrupts import deferred_interrupt
from sapwood.engine.model_runner import ModelRunner
from sapwood.engine.output_processor import OutputProcessor
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import Scheduler, SchedulerConfig
from sapwood.engine.tokenizer import Tokenizer


class LLMEngine:
    """An EngineCore and an output processor, stepped by the caller; not for several threads.

    Arguments and errors as those of `EngineCore`.
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
        # The one caller wants the exception itself; it has no other requests to protect.
        self.core = EngineCore(runner, config, eos_token_ids=eos_token_ids, seed=seed, contain_errors=False)
        self.tokenizer = tokenizer
        self.output_processor = OutputProcessor(tokenizer)

    @property
    def runner(self) -> ModelRunner:
        return self.core.runner

    @property
    def scheduler(self) -> Scheduler:
        return self.core.scheduler

    @property
    def eos_token_ids(self) -> frozenset[int]:
        return self.core.eos_token_ids

    @property
    def max_model_len(self) -> int:
        return self.core.max_model_len

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> int:
        """The most tokens that this prompt may generate. Raises ValueError (see `EngineCore.check_prompt`)."""
        return self.core.check_prompt(prompt_token_ids, params)

    def add_request(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        prompt: str | None = None,
        cache_salt: str = "",
    ) -> None:
        """Check and queue a request. Raises ValueError (see `EngineCore.add_request`), queueing nothing."""
        self.core.check_prompt(prompt_token_ids, params)
        state = self.output_processor.add_request(request_id, prompt_token_ids, params, prompt=prompt)
        for text in state.texts:
            self.core.add_request(text.text_id, prompt_token_ids, text.params, cache_salt)

    def has_unfinished_requests(self) -> bool:
        return self.core.has_unfinished_requests()

    def step(self) -> list[RequestOutput]:
        """Run the model once. Ctrl-C is delivered after the step.

        Returns an output for every request that has one due (see SamplingParams.output_kind). After any exception
        the state of a step is unknown: call `reset`. Raises EngineError when a text cannot be decoded.
        """
        with deferred_interrupt():
            touched, stopped = self.output_processor.process(self.core.step())
            self.core.abort_requests(stopped)
            self.core.check_when_idle()
        for state in touched:
            if state.error is not None:
                raise EngineError(state.error)
        outputs = [state.take() for state in touched]
        return [output for output in outputs if output is not None]

    def abort_requests(self, request_ids: Iterable[str]) -> list[RequestOutput]:
        """End requests and free their blocks; returns what is due of them. Unknown ids are ignored."""
        outputs: list[RequestOutput] = []
        for request_id in request_ids:
            state, text_ids = self.output_processor.abort(request_id)
            self.core.abort_requests(text_ids)
            output = None if state is None else state.take()
            if output is not None:
                outputs.append(output)
        return outputs

    def reset(self) -> None:
        """Drop every request and start with a fresh block pool, whatever state a failed step left."""
        self.core.reset()
        self.output_processor.clear()
