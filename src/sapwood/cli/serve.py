"""Serve a model over HTTP, behind OpenAI's and Anthropic's APIs.

It listens on 127.0.0.1 unless told otherwise; where other machines can reach it, it wants API keys. SIGTERM and Ctrl-C
let running requests finish; a second one does not. Options, limits and their reasons: docs/serving.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapwood import config
from sapwood.cli.errors import CommandError
from sapwood.cli.model_options import waiting

if TYPE_CHECKING:
    from sapwood.engine.client import EngineClient
    from sapwood.engine.model_assets import EngineOptions
    from sapwood.engine.process.messages import Ready
    from sapwood.serve.config import ServerConfig

HELP = "serve a model over HTTP"
DEFAULT_MAX_NUM_SEQS = 32
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _whole(text: str) -> float:
    return int(text)


def _seconds(text: str) -> float:
    return float(text)


def _size(text: str) -> float:
    """Bytes: a number, perhaps with K, M, G or T, which count in 1024s; KB and KiB are the same here."""
    number = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = number[-1:] if number[-1:] in "KMGT" else ""
    return int(float(number.removesuffix(unit)) * _UNITS[unit])


@dataclass(frozen=True)
class NumberOption:
    """An option that takes a number from `least` to `most`; parse raises ValueError for what is none."""

    name: str
    parse: Callable[[str], float]
    least: float
    most: float
    default: float | None
    help: str

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    def value(self, text: str | None) -> Any:
        if text is None:
            return self.default
        try:
            number = self.parse(text)
        except (ValueError, OverflowError):
            number = None
        if number is None or not self.least <= number <= self.most:
            raise CommandError(f"--{self.name} is {text!r}; allowed: {self.allowed}")
        return number

    @property
    def allowed(self) -> str:
        if self.parse is _size:
            return f"{_bytes(self.least)} to {_bytes(self.most)}, as in 512M or 2GiB"
        kind = "a whole number" if self.parse is _whole else "seconds"
        return f"{kind} from {self.least:g} to {self.most:.12g}"


NUMBERS = (
    NumberOption("port", _whole, 0, 65535, 8000, "port to listen on; 0 takes a free one"),
    NumberOption("max-model-len", _whole, 1, 2**31 - 1, None, "context in tokens; default: the model's"),
    NumberOption("max-num-seqs", _whole, 1, 4096, DEFAULT_MAX_NUM_SEQS, "the most sequences that run at once"),
    NumberOption("max-num-batched-tokens", _whole, 1, 1 << 20, None, "token budget of a step"),
    NumberOption("kv-cache-memory", _size, 1 << 16, 1 << 50, None, "size of the KV cache; default: what fits"),
    NumberOption("num-kv-blocks", _whole, 1, 2**31 - 1, None, "size of the KV cache in blocks instead"),
    NumberOption("max-queued-requests", _whole, 0, 1 << 20, 256, "sequences that may wait; more are refused with 429"),
    NumberOption("max-queue-seconds", _seconds, 0.001, 86400, 30.0, "expected wait beyond which 429 is the answer"),
    NumberOption("max-body", _size, 1 << 10, 32 << 20, 4 << 20, "the largest request body"),
    NumberOption("request-timeout", _seconds, 0.001, 86400, 600.0, "the longest that a request may take"),
    NumberOption("drain-timeout", _seconds, 0, 86400, 90.0, "how long running requests may go on after SIGTERM"),
    NumberOption("step-timeout", _seconds, 1, 86400, 120.0, "silence after which the engine process is restarted"),
    NumberOption("max-connections", _whole, 1, 1 << 20, 4096, "the most open connections"),
    NumberOption("threads", _whole, 1, 1024, None, "threads that compute; default: all of ours"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", help="a directory in Hugging Face's layout or a repository id; default: the demo model"
    )
    add = parser.add_argument
    add("--revision", help="branch, tag or commit of a repository")
    add("--offline", action="store_true", help="use the local cache only; never ask the network")
    add("--served-model-name", action="append", metavar="NAME", help="the name in requests; repeat for more than one")
    add("--host", default="127.0.0.1", help="address to listen on; others than this machine's own need API keys")
    add("--api-key", action="append", metavar="KEY", help="lets requests in that bring it; `ps` shows it to all users")
    add("--api-key-file", action="append", metavar="FILE", help="file with a key on each line; # begins a comment")
    add("--allowed-host", action="append", metavar="NAME", help="another name that a Host header may have without keys")
    add("--dtype", default="auto", help="auto (the checkpoint's), float32, bfloat16 or float16")
    add("--no-prefix-caching", action="store_true", help="compute every prompt from its beginning")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error; default: SAPWOOD_LOG_LEVEL, info")
    add("--log-format", metavar="FORMAT", help="text (key=value) or json; default: SAPWOOD_LOG_FORMAT, text")
    add("--dry-run", action="store_true", help="print the memory plan and stop")
    for option in NUMBERS:
        default = "" if option.default is None else f"; default {_default(option)}"
        add(f"--{option.name}", metavar="N", help=option.help + default)


def _default(option: NumberOption) -> str:
    assert option.default is not None
    return _bytes(option.default) if option.parse is _size else f"{option.default:g}"


def run(options: argparse.Namespace) -> int:
    numbers = {option.attribute: option.value(getattr(options, option.attribute)) for option in NUMBERS}
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported, which reads it then
    from sapwood.engine.client import EngineStartError
    from sapwood.engine.model_assets import EngineOptions
    from sapwood.engine.process.async_llm import AsyncLLM
    from sapwood.models.hub import demo_model
    from sapwood.serve.http_protocol import ConnectionLimits, connections_allowed, raise_file_limit
    from sapwood.serve.logs import configure_logging
    from sapwood.serve.server import RunOptions, ServerStartError, bind, run_server

    if options.num_kv_blocks is not None and options.kv_cache_memory is not None:
        raise CommandError("--num-kv-blocks and --kv-cache-memory both give the size of the KV cache; leave one out")
    for name, word, words in (
        ("log-level", options.log_level, config.LOG_LEVELS),
        ("log-format", options.log_format, config.LOG_FORMATS),
    ):
        if word is not None:
            _one_of(name, word, words)
            os.environ[f"SAPWOOD_{name.upper().replace('-', '_')}"] = word  # the engine process reads it too
    configure_logging(config.log_level(), config.log_format())
    engine_options = EngineOptions(
        model=options.model or demo_model(),
        revision=options.revision,
        dtype=options.dtype,
        max_model_len=numbers["max_model_len"],
        max_num_batched_tokens=numbers["max_num_batched_tokens"],
        max_num_seqs=numbers["max_num_seqs"],
        kv_cache_memory_bytes=numbers["kv_cache_memory"],
        num_kv_blocks=numbers["num_kv_blocks"],
        enable_prefix_caching=not options.no_prefix_caching,
        num_threads=numbers["threads"],
    )
    with _option_errors():
        serving = server_config(options, numbers)
        most = connections_allowed(numbers["max_connections"], raise_file_limit())
    run_options = RunOptions(connections=ConnectionLimits(max_connections=most), drain_timeout=numbers["drain_timeout"])

    async def start_engine() -> AsyncLLM:
        with waiting(f"loading {options.model or 'the demo model'}"):
            return await AsyncLLM.start(
                engine_options,
                max_num_queued_reqs=numbers["max_queued_requests"],
                max_queue_seconds=numbers["max_queue_seconds"],
                step_timeout=numbers["step_timeout"],
            )

    def ready(engine: EngineClient, address: str) -> None:
        if engine.ready is not None:
            print(describe_memory(engine.ready, numbers["max_num_seqs"]))
        print(f"{serving.model_name} is served at {address}", flush=True)

    try:
        with _option_errors():
            if options.dry_run:
                return dry_run(engine_options)
            return asyncio.run(run_server(start_engine, serving, run_options, bind(serving.host, serving.port), ready))
    except ServerStartError as error:
        raise CommandError(str(error)) from None
    except EngineStartError as error:
        if error.user_error:
            raise CommandError(_with_option_names(str(error))) from None
        print(f"sapwood serve: the engine could not be started: {error}", file=sys.stderr)
        return 1


def dry_run(options: EngineOptions) -> int:
    """Print the memory plan: no weight is read and nothing compiled. Raises ValueError, as the engine would."""
    from sapwood.engine.kv_cache_manager import check_capacity
    from sapwood.engine.memory_plan import plan_memory
    from sapwood.engine.model_assets import load_model_assets, runner_spec

    assets = load_model_assets(options)
    if options.num_threads:
        os.environ["SAPWOOD_NUM_THREADS"] = str(options.num_threads)  # as an engine process gets it
    spec = runner_spec(assets.engine_config, assets.config)
    planned = plan_memory(spec)
    check_capacity(planned.plan.num_blocks, planned.plan.block_size, spec.max_model_len)
    print("\n".join(planned.lines()))
    return 0


def server_config(options: argparse.Namespace, numbers: dict[str, Any]) -> ServerConfig:
    """What the options say about the server. Raises ValueError."""
    from sapwood.serve.config import ServerConfig

    return ServerConfig(
        served_model_names=tuple(dict.fromkeys(options.served_model_name or _default_names(options.model))),
        host=options.host,
        port=numbers["port"],
        api_keys=tuple(api_keys(options)),
        allowed_hosts=tuple(options.allowed_host or ()),
        max_body_bytes=numbers["max_body"],
        request_timeout=numbers["request_timeout"],
    )


def _default_names(model: str | None) -> list[str]:
    """A repository is called by its id; a directory by its own name, and by the path that was given."""
    if model is None:
        return ["demo"]
    return [Path(model).resolve().name or model, model] if os.path.isdir(model) else [model]


def describe_memory(ready: Ready, max_num_seqs: int) -> str:
    """What the engine took: bytes, blocks, and how many sequences they hold."""
    memory = ready.memory
    tokens = memory.num_blocks * memory.block_size
    lines = {
        "weights": _bytes(memory.weights_bytes),
        "working memory": _bytes(memory.arena_bytes),
        "KV cache": f"{_bytes(memory.kv_bytes)}: {memory.num_blocks} blocks of {memory.block_size} tokens",
        "concurrency": f"{tokens / ready.max_model_len:.1f} requests of {ready.max_model_len} tokens, at most "
        f"{max_num_seqs} at once",
    }
    return "\n".join(f"{name:<15} {text}" for name, text in lines.items())


def _one_of(name: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        raise CommandError(f"--{name} is {word!r}; allowed: {', '.join(allowed)}")


_FIELDS = {
    "kv_cache_memory_bytes": "--kv-cache-memory",
    "num_threads": "--threads",
    "max_num_queued_reqs": "--max-queued-requests",
    "max_body_bytes": "--max-body",
    "served_model_names": "--served-model-name",
    "api_keys": "--api-key, --api-key-file or SAPWOOD_API_KEY",
    "host": "--host",
    "dtype": "--dtype",
    **{option.attribute: f"--{option.name}" for option in NUMBERS},
}


def _with_option_names(message: str) -> str:
    """The message with the fields that it names, at its beginning or with a _ in them, as the options that they are."""
    first, rest = re.match(r"(\w*)(.*)", message, re.DOTALL).groups()  # type: ignore[union-attr]  # it always matches
    return _FIELDS.get(first, first) + re.sub(r"[a-z]+_[a-z_]+", lambda m: _FIELDS.get(m.group(), m.group()), rest)


@contextmanager
def _option_errors() -> Iterator[None]:
    """Inside, a ValueError is about options."""
    try:
        yield
    except ValueError as error:
        raise CommandError(_with_option_names(str(error))) from None


def api_keys(options: argparse.Namespace) -> list[str]:
    """Keys from the options, the files that they name, and the environment, each once."""
    keys = list(options.api_key or ())
    if keys:
        print(
            "sapwood serve: --api-key can be read by every user of this machine with `ps`; "
            "--api-key-file and SAPWOOD_API_KEY cannot",
            file=sys.stderr,
        )
    for name in options.api_key_file or ():
        try:
            lines = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise CommandError(f"--api-key-file {name}: cannot be read: {error}") from None
        found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not found:
            raise CommandError(f"--api-key-file {name}: there is no key in it")
        keys += found
    return list(dict.fromkeys([*keys, *config.api_keys()]))


def _bytes(number: float) -> str:
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        size = _UNITS[unit[0]]
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number:.0f} bytes"
