"""From sampled tokens to RequestOutputs: text, logprobs and stop strings of each request."""

from __future__ import annotations

from dataclasses import dataclass

from sapwood.engine.detokenizer import Detokenizer
from sapwood.engine.outputs import CompletionOutput, Logprob, RequestOutput
from sapwood.engine.request import Request, RequestStatus
from sapwood.engine.scheduler import TokenUpdate
from sapwood.engine.tokenizer import Tokenizer


@dataclass(slots=True)
class _State:
    request: Request
    prompt: str | None
    detokenizer: Detokenizer
    final_only: bool
    logprobs: list[dict[int, Logprob]] | None
    cumulative_logprob: float | None


class OutputProcessor:
    """Output state of unfinished requests, by request id."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._states: dict[str, _State] = {}

    def add_request(self, request: Request, prompt: str | None, final_only: bool) -> None:
        """Start to follow a request. With `final_only` there is one output, at the end."""
        params = request.sampling_params
        detokenizer = Detokenizer(
            self._tokenizer,
            prompt_token_ids=request.prompt_token_ids,
            stop=params.stop_strings,
            include_stop_str_in_output=params.include_stop_str_in_output,
            skip_special_tokens=params.skip_special_tokens,
        )
        wanted = params.logprobs is not None
        self._states[request.request_id] = _State(
            request, prompt, detokenizer, final_only, [] if wanted else None, 0.0 if wanted else None
        )

    def process(self, updates: list[TokenUpdate]) -> tuple[list[RequestOutput], list[str]]:
        """Apply one step.

        Returns the outputs that are due, and the ids of requests that a stop string ended: the scheduler
        does not know of those yet.
        """
        outputs: list[RequestOutput] = []
        stopped: list[str] = []
        for update in updates:
            state = self._states[update.request.request_id]
            request = state.request
            self._add_logprobs(state, update)
            finished = request.status.is_finished
            hide = request.status is RequestStatus.FINISHED_STOPPED and not (
                request.sampling_params.include_stop_str_in_output
            )
            stop = state.detokenizer.update(None if hide else update.token_id, finished)
            if stop is not None:
                if not finished:
                    stopped.append(request.request_id)
                request.status = RequestStatus.FINISHED_STOPPED
                request.stop_reason = stop
            if request.status.is_finished:
                del self._states[request.request_id]
            elif state.final_only:
                continue
            outputs.append(self._output(state))
        return outputs, stopped

    def abort(self, request: Request) -> RequestOutput | None:
        """End a request that was aborted; its last output, or None if it is not followed."""
        state = self._states.pop(request.request_id, None)
        if state is None:
            return None
        if state.detokenizer.stopped_by is None:
            state.detokenizer.update(None, finished=True)
        return self._output(state)

    def clear(self) -> None:
        """Forget every request."""
        self._states.clear()

    def _add_logprobs(self, state: _State, update: TokenUpdate) -> None:
        if state.logprobs is None or state.cumulative_logprob is None:
            return
        if update.logprob is None:
            raise ValueError(f"{state.request}: logprobs were asked for, the runner returned none")
        entry = {
            token_id: Logprob(logprob, rank, self._tokenizer.decode([token_id], skip_special_tokens=False))
            for rank, (token_id, logprob) in enumerate(update.top_logprobs, start=1)
        }
        if update.token_id not in entry:
            text = self._tokenizer.decode([update.token_id], skip_special_tokens=False)
            entry[update.token_id] = Logprob(update.logprob, None, text)
        state.logprobs.append(entry)
        state.cumulative_logprob += update.logprob

    def _output(self, state: _State) -> RequestOutput:
        request = state.request
        text = state.detokenizer.output_text
        finished = request.status.is_finished
        completion = CompletionOutput(
            index=0,
            text=text if finished else text[: state.detokenizer.streamable_length()],
            token_ids=request.output_token_ids,
            cumulative_logprob=state.cumulative_logprob,
            logprobs=None if state.logprobs is None else list(state.logprobs),
            finish_reason=request.status.finish_reason,
            stop_reason=request.stop_reason,
        )
        return RequestOutput(
            request.request_id, state.prompt, request.prompt_token_ids, [completion], finished
        )
