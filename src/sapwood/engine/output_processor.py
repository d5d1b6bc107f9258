"""From sampled tokens to RequestOutputs: text, logprobs and stop strings of each request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sapwood.engine.detokenizer import Detokenizer
from sapwood.engine.outputs import CompletionOutput, Logprob, RequestOutput
from sapwood.engine.process.messages import LogprobEntry, TokenDelta
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.tokenizer import Tokenizer


@dataclass(slots=True)
class _State:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    params: SamplingParams
    detokenizer: Detokenizer
    final_only: bool
    logprobs: list[dict[int, Logprob]] | None
    cumulative_logprob: float | None
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    num_cached_tokens: int = 0


class OutputProcessor:
    """Output state of unfinished requests, by request id."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._states: dict[str, _State] = {}

    def add_request(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        prompt: str | None,
        final_only: bool,
    ) -> None:
        """Start to follow a request. With `final_only` there is one output, at the end."""
        ids = list(prompt_token_ids)
        detokenizer = Detokenizer(
            self._tokenizer,
            prompt_token_ids=ids,
            stop=params.stop_strings,
            include_stop_str_in_output=params.include_stop_str_in_output,
            skip_special_tokens=params.skip_special_tokens,
        )
        wanted = params.logprobs is not None
        self._states[request_id] = _State(
            request_id, prompt, ids, params, detokenizer, final_only, [] if wanted else None, 0.0 if wanted else None
        )

    def process(self, deltas: list[TokenDelta]) -> tuple[list[RequestOutput], list[str]]:
        """Apply one step.

        Returns the outputs that are due, and the ids of requests that a stop string ended: the engine does not
        know of those yet. Deltas of requests that are not followed are ignored.
        """
        outputs: list[RequestOutput] = []
        stopped: list[str] = []
        for delta in deltas:
            state = self._states.get(delta.request_id)
            if state is None:
                continue
            if self._apply(state, delta):
                stopped.append(state.request_id)
            if state.finish_reason is not None:
                del self._states[state.request_id]
            elif state.final_only:
                continue
            outputs.append(self._output(state))
        return outputs, stopped

    def _apply(self, state: _State, delta: TokenDelta) -> bool:
        """Add what one step brought; whether a stop string ended the request before the engine did."""
        state.token_ids += delta.token_ids
        state.finish_reason, state.stop_reason = delta.finish_reason, delta.stop_token_id
        if delta.num_cached_tokens is not None:
            state.num_cached_tokens = delta.num_cached_tokens
        for entry in delta.logprobs:
            self._add_logprobs(state, entry)
        finished = delta.finish_reason is not None
        hide = delta.finish_reason == "stop" and not state.params.include_stop_str_in_output
        shown = delta.token_ids[:-1] if hide else delta.token_ids
        stop = None
        for token_id in shown[:-1]:
            stop = stop or state.detokenizer.update(token_id, False)
        stop = stop or state.detokenizer.update(shown[-1] if shown else None, finished)
        if stop is None:
            return False
        state.finish_reason, state.stop_reason = "stop", stop
        return not finished

    def abort(self, request_id: str) -> RequestOutput | None:
        """End a request that was aborted; its last output, or None if it is not followed."""
        state = self._states.pop(request_id, None)
        if state is None:
            return None
        state.finish_reason = "abort"
        if state.detokenizer.stopped_by is None:
            state.detokenizer.update(None, finished=True)
        return self._output(state)

    def clear(self) -> None:
        """Forget every request."""
        self._states.clear()

    def _add_logprobs(self, state: _State, sampled: LogprobEntry) -> None:
        if state.logprobs is None or state.cumulative_logprob is None:
            return
        entry = {
            token_id: Logprob(logprob, rank, self._tokenizer.decode([token_id], skip_special_tokens=False))
            for rank, (token_id, logprob) in enumerate(sampled.top, start=1)
        }
        if sampled.token_id not in entry:
            text = self._tokenizer.decode([sampled.token_id], skip_special_tokens=False)
            entry[sampled.token_id] = Logprob(sampled.logprob, None, text)
        state.logprobs.append(entry)
        state.cumulative_logprob += sampled.logprob

    def _output(self, state: _State) -> RequestOutput:
        text = state.detokenizer.output_text
        finished = state.finish_reason is not None
        completion = CompletionOutput(
            index=0,
            text=text if finished else text[: state.detokenizer.streamable_length()],
            token_ids=list(state.token_ids),
            cumulative_logprob=state.cumulative_logprob,
            logprobs=None if state.logprobs is None else list(state.logprobs),
            finish_reason=state.finish_reason,
            stop_reason=state.stop_reason,
        )
        return RequestOutput(
            state.request_id,
            state.prompt,
            state.prompt_token_ids,
            [completion],
            finished,
            num_cached_tokens=state.num_cached_tokens,
        )
