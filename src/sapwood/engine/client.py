"""The seam between a server and an engine, wherever that runs: prompts as token ids in, outputs out, asynchronously.

`engine/process/` implements it with a spawned process; a test does with a fake, a cluster with a remote replica.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sapwood.engine.chat_template import ChatTemplate
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.process.messages import EngineStats, Ready
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.tokenizer import Tokenizer
from sapwood.models.config import ModelConfig


class EngineError(RuntimeError):
    """The engine cannot serve the request; never the request's own fault."""


class EngineDeadError(EngineError):
    """The engine process died while it held the request, or it is being started again."""


class EngineStartError(EngineError):
    """The engine cannot be started. user_error: the model or the options are at fault, and the message says how."""

    def __init__(self, message: str, user_error: bool = False) -> None:
        super().__init__(message)
        self.user_error = user_error


class EngineDrainingError(EngineError):
    """The server is shutting down and takes no new requests."""


class EngineOverloadedError(EngineError):
    """The queue is full. retry_after: seconds after which trying again makes sense."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Health:
    """state: "starting", "ok", "stuck" (work waits, no step ended lately), "dead" or "draining". detail: a sentence."""

    state: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.state == "ok"


class EngineClient(Protocol):
    """Methods are called from one event loop. Requests are tokenised by the caller, outputs are text."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def chat_template(self) -> ChatTemplate | None: ...

    @property
    def max_model_len(self) -> int: ...

    @property
    def default_sampling_params(self) -> dict[str, object]:
        """Values of generation_config.json by SamplingParams' names, for what a request leaves open."""
        ...

    @property
    def ready(self) -> Ready | None:
        """What the running engine said of itself; None while there is none."""
        ...

    def check_admission(self) -> None:
        """Raise what `generate` would raise now for whatever prompt, so that it need not be tokenised for that.

        EngineOverloadedError, EngineDeadError, EngineDrainingError.
        """
        ...

    def check_prompt(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> None:
        """Raise ValueError or RequestTooLargeError for what `generate` would refuse, without queueing anything."""
        ...

    def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        request_id: str,
        cache_salt: str = "",
        prompt: str | None = None,
    ) -> AsyncGenerator[RequestOutput, None]:
        """Queue a request and yield its outputs as params.output_kind says; the last has `finished`.

        Closing the generator, or cancelling the task that runs it, aborts the request and frees everything.
        Before the first output it raises ValueError (RequestTooLargeError among them) for a request that can never
        run, and EngineOverloadedError, EngineDeadError or EngineDrainingError; EngineDeadError also later.
        """
        ...

    def stats(self) -> EngineStats: ...

    def num_unfinished_requests(self) -> int: ...

    @property
    def num_restarts(self) -> int:
        """How often the engine process was started again after it had died. Totals in `stats` begin anew with it."""
        ...

    def add_step_listener(self, listener: Callable[[EngineStats], None]) -> None:
        """Call `listener` from the event loop with the statistics of every step. It neither blocks nor raises."""
        ...

    def health(self) -> Health: ...

    async def wait_ended(self) -> None:
        """Return when there is no engine and will be none: it cannot be started again, or was closed."""
        ...

    async def drain(self, timeout: float) -> bool:
        """Take nothing new, wait for what runs, at most `timeout` seconds; whether all ended by themselves."""
        ...

    async def close(self) -> None:
        """Abort what is left and end the engine process."""
        ...
