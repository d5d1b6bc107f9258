"""`LLM`: a model, prompts in, texts out. The offline API, with vLLM's names."""

from __future__ import annotations

import dataclasses
import itertools
import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from sapwood.engine.chat import encode_chat
from sapwood.engine.chat_template import ChatTemplateError
from sapwood.engine.llm_engine import LLMEngine
from sapwood.engine.model_assets import DEFAULT_BLOCK_SIZE, EngineOptions, build_runner, load_model_assets
from sapwood.engine.model_runner import RunnerFactory
from sapwood.engine.outputs import RequestOutput
from sapwood.engine.progress import show_progress
from sapwood.engine.sampling_params import RequestOutputKind, SamplingParams
from sapwood.engine.scheduler import SchedulerConfig
from sapwood.models.errors import shown


class TextPrompt(TypedDict):
    prompt: str


class TokensPrompt(TypedDict):
    prompt_token_ids: list[int]


Prompt = str | TextPrompt | TokensPrompt
Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    prompt: str | None
    token_ids: list[int]
    params: SamplingParams


class LLM:
    """A model that is ready to generate.

    model: a directory in Hugging Face's layout, or a repository id (local cache first, then the network).
    dtype: "auto" (the checkpoint's), "float32", "bfloat16" or "float16".
    max_model_len: context in tokens, prompt and output together; by default the model's own.
    max_num_batched_tokens: token budget of a step; longer prompts are computed in chunks.
    max_num_seqs: the most sequences that run at once.
    block_size: tokens in a block of the KV cache. kv_cache_memory_bytes: size of that cache; num_kv_blocks
        sets it in blocks instead.
    enable_prefix_caching: keep blocks of that cache that are full, and go on from them where a prompt begins alike.
    seed: seeds requests whose SamplingParams have none. Two runs of one program give the same texts.
    revision: branch, tag or commit of a repository.
    runner_factory: builds the model runner; for tests and other backends.

    Raises HubError, ConfigError, WeightsError, TokenizerError or ChatTemplateError (all ValueError) for a
    model that cannot be used, and ValueError for other arguments. Calls from several threads take turns.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        dtype: str = "auto",
        max_model_len: int | None = None,
        max_num_batched_tokens: int | None = None,
        max_num_seqs: int | None = None,
        block_size: int = DEFAULT_BLOCK_SIZE,
        kv_cache_memory_bytes: int | None = None,
        num_kv_blocks: int | None = None,
        enable_prefix_caching: bool = True,
        seed: int = 0,
        revision: str | None = None,
        runner_factory: RunnerFactory | None = None,
    ) -> None:
        self.assets = load_model_assets(
            EngineOptions(
                model=model,
                revision=revision,
                dtype=dtype,
                max_model_len=max_model_len,
                max_num_batched_tokens=max_num_batched_tokens,
                max_num_seqs=max_num_seqs,
                block_size=block_size,
                kv_cache_memory_bytes=kv_cache_memory_bytes,
                num_kv_blocks=num_kv_blocks,
                enable_prefix_caching=enable_prefix_caching,
                seed=seed,
            )
        )
        config = self.assets.engine_config
        self.directory, self.config, self.dtype = self.assets.directory, self.assets.config, config.dtype
        self.tokenizer, self.chat_template = self.assets.tokenizer, self.assets.chat_template
        self.engine = LLMEngine(
            build_runner(config, self.config, runner_factory),
            self.tokenizer,
            SchedulerConfig(
                config.max_num_batched_tokens,
                config.max_num_seqs,
                config.max_model_len,
                enable_prefix_caching=config.enable_prefix_caching,
            ),
            eos_token_ids=config.eos_token_ids,
            seed=config.seed,
        )
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._owner: int | None = None

    def get_default_sampling_params(self) -> SamplingParams:
        """Used when no SamplingParams are given: the defaults, with generation_config.json over them."""
        return self.assets.sampling_params()

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
    ) -> list[RequestOutput]:
        """Complete prompts, batched together; results in the order of the prompts.

        prompts: a string, {"prompt": str} or {"prompt_token_ids": [int]}, or a list of those.
        sampling_params: one for all, or one for each prompt; None takes the model's defaults.
        use_tqdm: show progress (the name is vLLM's) when stderr is a terminal.
        Raises ValueError for an empty prompt, ids out of range or a prompt that is longer than the context,
        before anything is queued. Ctrl-C raises KeyboardInterrupt between steps; then, as after any
        exception, no request is left and all blocks are free.
        """
        single = isinstance(prompts, str | Mapping)
        items = [prompts] if single else _as_list("prompts", prompts, "a prompt or a list of prompts")
        params = self._params_for(sampling_params, len(items))
        with self._turn():
            prepared = [
                self._prepare(item, p, "the prompt" if single else f"prompts[{i}]")
                for i, (item, p) in enumerate(zip(items, params, strict=True))
            ]
            return self._run(prepared, use_tqdm)

    def chat(
        self,
        messages: Sequence[Message] | Sequence[Sequence[Message]],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
        add_generation_prompt: bool = True,
        chat_template_kwargs: Mapping[str, bool] | None = None,
    ) -> list[RequestOutput]:
        """Answer one conversation (a list of messages) or several (a list of lists), like `generate`.

        A message is {"role": str, "content": str or a list of {"type": "text", "text": str}}. Text of special
        tokens in messages is ordinary text. chat_template_kwargs: switches of models that think, such as
        {"enable_thinking": False}. Raises ValueError as `generate` does, and for malformed messages;
        ChatTemplateError when the model has no template or the template refuses the conversation.
        """
        items = _as_list("messages", messages, "a list of messages, or a list of such lists")
        many = bool(items) and all(isinstance(item, list | tuple) for item in items)
        conversations = cast("list[Sequence[Message]]", items if many else [items])
        prompts: list[TokensPrompt] = [
            {"prompt_token_ids": self.apply_chat_template(c, add_generation_prompt, chat_template_kwargs)}
            for c in conversations
        ]
        return self.generate(prompts, sampling_params, use_tqdm)

    def apply_chat_template(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool = True,
        chat_template_kwargs: Mapping[str, bool] | None = None,
    ) -> list[int]:
        """Token ids of one conversation. Raises as `chat` does."""
        if self.chat_template is None:
            raise ChatTemplateError(
                f"{self.directory}: the model has no chat template (chat_template.jinja, or chat_template in "
                f"tokenizer_config.json); use generate()"
            )
        return encode_chat(
            self.tokenizer,
            self.chat_template,
            messages,
            add_generation_prompt=add_generation_prompt,
            options=chat_template_kwargs,
        )

    def stream(
        self, prompt: Prompt, sampling_params: SamplingParams | None = None
    ) -> Generator[RequestOutput, None, None]:
        """Complete one prompt, yielding an output after every step that produced a token.

        Each output holds everything so far, or what `output_kind` says; text that was shown is never taken back,
        and never has part of a character or of a stop string. Closing the iterator early aborts the request.
        Raises as `generate` does, at once.
        """
        params = self._params_for(sampling_params, 1)[0]
        with self._turn():
            prepared = self._prepare(prompt, params, "the prompt")
        return self._stream(prepared)

    def _stream(self, prepared: _Prepared) -> Generator[RequestOutput, None, None]:
        with self._turn(), self._clean():
            self.engine.add_request(
                str(next(self._ids)), prepared.token_ids, prepared.params, prompt=prepared.prompt
            )
            while self.engine.has_unfinished_requests():
                yield from self.engine.step()

    def _run(self, prepared: list[_Prepared], use_tqdm: bool) -> list[RequestOutput]:
        ids = [str(next(self._ids)) for _ in prepared]
        done: dict[str, RequestOutput] = {}
        with self._clean(), show_progress(len(prepared), use_tqdm) as request_done:
            for request_id, item in zip(ids, prepared, strict=True):
                params = dataclasses.replace(item.params, output_kind=RequestOutputKind.FINAL_ONLY)
                self.engine.add_request(request_id, item.token_ids, params, prompt=item.prompt)
            while self.engine.has_unfinished_requests():
                for output in self.engine.step():
                    done[output.request_id] = output
                    request_done(len(output.prompt_token_ids), sum(len(text.token_ids) for text in output.outputs))
        return [done[request_id] for request_id in ids]

    @contextmanager
    def _clean(self) -> Iterator[None]:
        """However the block is left, no request and no block stays behind."""
        try:
            yield
        except BaseException:
            self.engine.reset()
            raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One call at a time. Raises RuntimeError where waiting would be for ever."""
        me = threading.get_ident()
        if self._owner == me:
            raise RuntimeError(
                "this LLM is generating already in this thread: finish or close the stream first"
            )
        with self._lock:
            self._owner = me
            try:
                yield
            finally:
                self._owner = None

    def _params_for(self, given: object, count: int) -> list[SamplingParams]:
        if given is None:
            return [self.get_default_sampling_params()] * count
        if isinstance(given, SamplingParams):
            return [given] * count
        params = _as_list("sampling_params", given, "SamplingParams or a list of them")
        for i, item in enumerate(params):
            if not isinstance(item, SamplingParams):
                raise TypeError(f"sampling_params[{i}] is {shown(item)}; allowed: SamplingParams")
        if len(params) != count:
            raise ValueError(f"sampling_params has {len(params)} entries for {count} prompts")
        return cast("list[SamplingParams]", params)

    def _prepare(self, item: object, params: SamplingParams, where: str) -> _Prepared:
        text: str | None = None
        keys: set[object] = set(item) if isinstance(item, Mapping) else set()
        if isinstance(item, str):
            text = item
        elif isinstance(item, Mapping) and keys == {"prompt"} and isinstance(item["prompt"], str):
            text = item["prompt"]
        elif not (isinstance(item, Mapping) and keys == {"prompt_token_ids"}):
            raise TypeError(
                f"{where} is {shown(item)}; allowed: a string, {{'prompt': str}} or "
                f"{{'prompt_token_ids': [int]}}"
            )
        try:
            if text is not None:
                if not text:
                    raise ValueError("the prompt is empty; allowed: at least one character")
                token_ids = self.tokenizer.encode(text)
            else:
                token_ids = _token_list(cast("Mapping[str, object]", item)["prompt_token_ids"])
            self.engine.check_prompt(token_ids, params)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{where}: {error}") from None
        return _Prepared(text, token_ids, params)


def _token_list(value: object) -> list[int]:
    """Token ids from any sequence of integers, NumPy's included; what they may be is checked later."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        to_list = getattr(value, "tolist", None)
        value = to_list() if callable(to_list) else value
    if not isinstance(value, list | tuple | range):
        raise TypeError(f"prompt_token_ids is {shown(value)}; allowed: a list of token ids")
    return [int(i) if hasattr(i, "__index__") and not isinstance(i, bool) else i for i in value]


def _as_list(name: str, value: object, allowed: str) -> list[object]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError(f"{name} is {shown(value)}; allowed: {allowed}")
    return list(value)
