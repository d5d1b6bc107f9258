"""From token deltas to RequestOutputs: text, logprobs, stop strings and the n texts of each request.

One implementation for `LLM`, which steps an engine in its own process, and for `AsyncLLM`, whose engine is another
process. An output is made when it is taken, from all that came since the last one was; so a caller that does not
take any costs no more than the tokens themselves.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from sapwood.engine.detokenizer import Detokenizer
from sapwood.engine.outputs import CompletionOutput, Logprob, RequestMetrics, RequestOutput
from sapwood.engine.process.messages import LogprobEntry, TokenDelta
from sapwood.engine.sampling_params import RequestOutputKind, SamplingParams
from sapwood.engine.scheduler import DuplicateRequestError
from sapwood.engine.tokenizer import Tokenizer

_U64 = 2**64 - 1


class OutputProcessor:
    """The requests that are followed. Each is one or several texts, which the engine knows by ids of their own."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._serial = itertools.count()
        self._requests: dict[str, RequestState] = {}
        self._texts: dict[str, _Text] = {}
        self._token_texts: dict[int, str] = {}  # of tokens that logprobs showed: decoding one takes microseconds

    @property
    def num_requests(self) -> int:
        return len(self._requests)

    @property
    def num_texts(self) -> int:
        """Texts that the engine still works on, as far as is known here."""
        return len(self._texts)

    def add_request(
        self,
        request_id: str,
        prompt_token_ids: Sequence[int],
        params: SamplingParams,
        *,
        prompt: str | None = None,
        arrival: float | None = None,
    ) -> RequestState:
        """Start to follow a request; the caller gives its `texts` to an engine.

        arrival: CLOCK_MONOTONIC seconds, now by default. Raises DuplicateRequestError.
        """
        if request_id in self._requests:
            raise DuplicateRequestError(f"request id {request_id!r} is in use by an unfinished request")
        ids = list(prompt_token_ids)
        # The serial number tells this request's deltas from late ones of an aborted request with the same id.
        serial = next(self._serial)
        texts = [_Text(self, f"{request_id}/{serial}/{index}", index, ids, params) for index in range(params.n)]
        arrival = time.monotonic() if arrival is None else arrival
        state = RequestState(request_id, prompt, ids, params, texts, RequestMetrics(arrival))
        self._requests[request_id] = state
        for text in texts:
            text.request = state
            self._texts[text.text_id] = text
        return state

    def process(self, deltas: Iterable[TokenDelta], at: float | None = None) -> tuple[list[RequestState], list[str]]:
        """Apply what a step that ended `at` (CLOCK_MONOTONIC seconds, now by default) brought.

        Returns the requests that got something, in the order of their first delta, and the ids of texts that ended
        here and not in the engine, by a stop string or an error: the engine is to abort them. Deltas of texts that
        are not followed are ignored.
        """
        at = time.monotonic() if at is None else at
        touched: dict[str, RequestState] = {}
        stopped: list[str] = []
        for delta in deltas:
            text = self._texts.get(delta.request_id)
            if text is None:
                continue
            request = text.request
            try:
                text.add(delta, at)
            except Exception as error:  # a tokenizer that fails on a token takes no other request along
                text.fail(f"the text could not be decoded: {error}")
            if text.finish_reason is not None:
                del self._texts[text.text_id]
                request.unfinished -= 1
                if delta.finish_reason is None:
                    stopped.append(text.text_id)
            request.changed[text.index] = None
            touched[request.request_id] = request
        for request in touched.values():
            if not request.unfinished:
                del self._requests[request.request_id]
        return list(touched.values()), stopped

    def abort(self, request_id: str) -> tuple[RequestState | None, list[str]]:
        """End a request early: its state, whose last output is due, and the ids of its unfinished texts."""
        state = self._requests.pop(request_id, None)
        if state is None:
            return None, []
        ended = [text for text in state.texts if self._texts.pop(text.text_id, None) is not None]
        for text in ended:
            text.abort()
            state.changed[text.index] = None
        state.unfinished = 0
        return state, [text.text_id for text in ended]

    def request_of(self, text_id: str) -> RequestState | None:
        """The request that an engine's id belongs to, while the text is unfinished."""
        text = self._texts.get(text_id)
        return None if text is None else text.request

    def request_ids(self) -> list[str]:
        """Ids of the unfinished requests."""
        return list(self._requests)

    def clear(self) -> None:
        """Forget every request."""
        self._requests.clear()
        self._texts.clear()

    def decode_token(self, token_id: int) -> str:
        text = self._token_texts.get(token_id)
        if text is None:
            text = self._token_texts[token_id] = self._tokenizer.decode([token_id], skip_special_tokens=False)
        return text

    def detokenizer(self, prompt_token_ids: Sequence[int], params: SamplingParams) -> Detokenizer:
        return Detokenizer(
            self._tokenizer,
            prompt_token_ids=prompt_token_ids,
            stop=params.stop_strings,
            include_stop_str_in_output=params.include_stop_str_in_output,
            skip_special_tokens=params.skip_special_tokens,
            min_tokens=params.min_tokens,
        )

    def logprobs_of(self, entry: LogprobEntry) -> dict[int, Logprob]:
        """The reported tokens of one position: the likeliest, and the one that is there."""
        found = {
            token_id: Logprob(logprob, rank, self.decode_token(token_id))
            for rank, (token_id, logprob) in enumerate(entry.top, start=1)
        }
        if entry.token_id not in found:
            found[entry.token_id] = Logprob(entry.logprob, None, self.decode_token(entry.token_id))
        return found


class RequestState:
    """A request between its deltas and its outputs.

    texts: what to ask an engine for. unfinished: texts without an end. error: why the engine gave one up.
    """

    __slots__ = (
        "_final_taken", "_prompt_logprobs_taken", "changed", "error", "metrics", "num_cached_tokens", "params",
        "prompt", "prompt_logprobs", "prompt_token_ids", "request_id", "texts", "unfinished",
    )  # fmt: skip

    def __init__(
        self,
        request_id: str,
        prompt: str | None,
        prompt_token_ids: list[int],
        params: SamplingParams,
        texts: list[_Text],
        metrics: RequestMetrics,
    ) -> None:
        self.request_id = request_id
        self.prompt = prompt
        self.prompt_token_ids = prompt_token_ids
        self.params = params
        self.texts = texts
        self.metrics = metrics
        self.unfinished = len(texts)
        self.changed: dict[int, None] = {}
        self.prompt_logprobs: list[dict[int, Logprob] | None] | None = None
        if params.prompt_logprobs is not None:
            self.prompt_logprobs = [None]
        self.num_cached_tokens = 0
        self.error: str | None = None
        self._final_taken = self._prompt_logprobs_taken = False

    @property
    def finished(self) -> bool:
        return not self.unfinished

    def take(self) -> RequestOutput | None:
        """The output that is due, as `output_kind` says, or None. It holds all that came since the last one."""
        kind = self.params.output_kind
        if self._final_taken or (self.unfinished and (kind is RequestOutputKind.FINAL_ONLY or not self.changed)):
            return None
        delta = kind is RequestOutputKind.DELTA
        completions = [text.output(delta) for text in self.texts if not delta or text.index in self.changed]
        self.changed.clear()
        self._final_taken = self.finished
        prompt_logprobs = self.prompt_logprobs
        if prompt_logprobs is not None:
            complete = self.finished or len(prompt_logprobs) == len(self.prompt_token_ids)
            if not complete or (delta and self._prompt_logprobs_taken):
                prompt_logprobs = None
            self._prompt_logprobs_taken |= complete
        return RequestOutput(
            request_id=self.request_id,
            prompt=self.prompt,
            prompt_token_ids=self.prompt_token_ids,
            outputs=completions,
            finished=self.finished,
            prompt_logprobs=prompt_logprobs,
            num_cached_tokens=self.num_cached_tokens,
            metrics=self.metrics.copy(),
        )


class _Text:
    """One of a request's texts: what the engine is asked for, and what came of it."""

    __slots__ = (
        "_cumulative_logprob", "_detokenizer", "_logprobs", "_processor", "_text", "_token_ids", "finish_reason",
        "index", "params", "request", "stop_reason", "text_id",
    )  # fmt: skip

    request: RequestState

    def __init__(
        self, processor: OutputProcessor, text_id: str, index: int, prompt_token_ids: list[int], params: SamplingParams
    ) -> None:
        self._processor = processor
        self.text_id = text_id
        self.index = index
        self.params = _params_of_text(params, index)
        self._detokenizer = processor.detokenizer(prompt_token_ids, params)
        self._text = ""
        self._token_ids: list[int] = []
        self._logprobs: list[dict[int, Logprob]] | None = None if params.logprobs is None else []
        self._cumulative_logprob = None if params.logprobs is None else 0.0
        self.finish_reason: str | None = None
        self.stop_reason: int | str | None = None

    def add(self, delta: TokenDelta, at: float) -> None:
        """Take tokens up to the end of the text; what comes after a stop string is dropped."""
        self._note(delta, at)
        shown = self.request.params.include_stop_str_in_output
        last = len(delta.token_ids) - 1
        for i, token_id in enumerate(delta.token_ids):
            self._token_ids.append(token_id)
            if self._logprobs is not None:
                self._add_logprob(delta.logprobs[i])
            ends = delta.finish_reason if i == last else None
            stop = self._detokenizer.update(None if ends == "stop" and not shown else token_id, ends is not None)
            if stop is not None:
                self.finish_reason, self.stop_reason = "stop", stop
                return
        if delta.finish_reason is not None:
            if last < 0:
                self._detokenizer.update(None, finished=True)
            self.finish_reason, self.stop_reason = delta.finish_reason, delta.stop_token_id

    def _note(self, delta: TokenDelta, at: float) -> None:
        request, metrics = self.request, self.request.metrics
        if delta.error is not None and request.error is None:
            request.error = delta.error
        if delta.token_ids:
            if metrics.first_token is None:
                metrics.first_token = at
            metrics.last_token = at
        metrics.num_preemptions = max(metrics.num_preemptions, delta.num_preemptions)
        if self.index:
            return  # what follows is about the first text
        if delta.num_cached_tokens is not None:
            request.num_cached_tokens = delta.num_cached_tokens
        if delta.queued is not None:
            metrics.queued = delta.queued
        if delta.scheduled is not None:
            metrics.scheduled = delta.scheduled
        if delta.prompt_logprobs is not None and request.prompt_logprobs is not None:
            request.prompt_logprobs += [self._processor.logprobs_of(entry) for entry in delta.prompt_logprobs]

    def _add_logprob(self, entry: LogprobEntry) -> None:
        assert self._logprobs is not None and self._cumulative_logprob is not None
        self._logprobs.append(self._processor.logprobs_of(entry))
        self._cumulative_logprob += entry.logprob

    def abort(self) -> None:
        """End here; the text shows all that it has."""
        self.finish_reason = "abort"
        with suppress(ValueError):  # a tokenizer that fails: the text is what was certain
            self._detokenizer.update(None, finished=True)

    def fail(self, error: str) -> None:
        """End because something broke; the text is what was certain."""
        self.finish_reason = "abort"
        if self.request.error is None:
            self.request.error = error

    def output(self, delta: bool) -> CompletionOutput:
        """What is new since the last call, or everything so far."""
        text, token_ids, logprobs = self._detokenizer.take(), self._token_ids, self._logprobs
        if delta:
            self._token_ids = []
            self._logprobs = None if logprobs is None else []
        else:
            self._text = text = self._text + text
            token_ids = list(token_ids)
            logprobs = None if logprobs is None else list(logprobs)
        return CompletionOutput(
            index=self.index,
            text=text,
            token_ids=token_ids,
            cumulative_logprob=self._cumulative_logprob,
            logprobs=logprobs,
            finish_reason=self.finish_reason,
            stop_reason=self.stop_reason,
        )


def _params_of_text(params: SamplingParams, index: int) -> SamplingParams:
    """The engine makes one text at a time: text i samples with seed + i, and the first one scores the prompt."""
    if params.n == 1:
        return params
    changes: dict[str, object] = {"n": 1}
    if index:
        changes["prompt_logprobs"] = None
        if params.seed is not None:
            changes["seed"] = (params.seed + index) & _U64
    return dataclasses.replace(params, **changes)  # type: ignore[arg-type]
