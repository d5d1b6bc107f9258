"""The pool file: which models, on which pools of devices, within which limits.

    models:
      - name: qwen                      # what requests give as `model`
        path: /models/qwen2.5-1.5b      # a directory or a repository id
        options: {max_model_len: 8192}  # of the engine, as `sapwood.LLM` names them
    pools:
      - name: gpu
        model: qwen
        replicas: {min: 1, max: 4}      # or a number
        resources: {cpus: 4, gpus: 1, labels: {accelerator: H200}}
      - name: cpu
        model: qwen
        replicas: 2
        resources: {cpus: 8}
    routers: 2
    limits: {max_ongoing_requests: 512}

It is YAML, decoded into the structs below: types and ranges in their annotations are all that is allowed. Whatever is
wrong is a PoolFileError with the field's path and the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from sapwood.models.errors import did_you_mean, shown

MAX_BYTES = 1 << 20
MAX_NODES = 100_000  # of a document; aliases count as often as they are used

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"  # a label of RFC 1123
NAME_TEXT = "of 1 to 63 small letters, digits and inner hyphens"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
ServedName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Amount = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class PoolFileError(ValueError):
    """A pool file that cannot be used. path: of the field, such as `pools[1].replicas.max`; line: counted from 1."""

    def __init__(self, file: str, line: int, path: str, message: str) -> None:
        super().__init__(f"{file}:{line}: {path + ': ' if path else ''}{message}")
        self.file, self.line, self.path, self.message = file, line, path, message


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file: what it does not name is a mistake."""


class EngineSettings(_Section, frozen=True):
    """Options of the engines of a model, by the names and with the defaults of `sapwood.LLM`."""

    revision: str | None = None
    dtype: str = "auto"
    max_model_len: Annotated[int, msgspec.Meta(ge=2)] | None = None
    max_num_batched_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_num_seqs: Count | None = None
    block_size: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    kv_cache_memory_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    num_kv_blocks: Annotated[int, msgspec.Meta(ge=1)] | None = None
    enable_prefix_caching: bool = True
    num_threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None


class Model(_Section, frozen=True):
    """A model. name: what requests give as `model`; path: a directory or a repository id, the same on every node."""

    name: ServedName
    path: Annotated[str, msgspec.Meta(min_length=1)]
    options: EngineSettings = EngineSettings()


class CountRange(_Section, frozen=True):
    """How many replicas there may be."""

    min: Annotated[int, msgspec.Meta(ge=0, le=10_000)]
    max: Count


class Resources(_Section, frozen=True):
    """What one replica needs of its node. custom: by the names that nodes were started with; labels: what its node must
    have, such as {accelerator: H200}."""

    cpus: Amount = 1
    gpus: Annotated[float, msgspec.Meta(ge=0, le=64)] = 0
    memory_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    custom: dict[str, Amount] = {}
    labels: dict[str, str] = {}


class Pool(_Section, frozen=True):
    """Replicas of one model on devices of one kind. options: over those of the model, for this pool alone."""

    name: Name
    model: ServedName
    replicas: Count | CountRange = 1
    resources: Resources = Resources()
    options: dict[str, Any] = {}

    @property
    def replica_range(self) -> CountRange:
        n = self.replicas
        return n if isinstance(n, CountRange) else CountRange(min=n, max=n)


class Limits(_Section, frozen=True):
    """What is refused early. max_ongoing_requests: of a replica, running and waiting; max_queued_tokens: prompt tokens
    that wait for a replica before new requests are refused; drain_timeout: how long a replica that is going away may
    work on what it has; max_retries: how often a request goes on elsewhere after its replica died."""

    max_ongoing_requests: Count = 256
    max_queued_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    drain_timeout: Seconds = 600
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3


class PoolFile(_Section, frozen=True):
    """The whole file."""

    models: Annotated[list[Model], msgspec.Meta(min_length=1, max_length=256)]
    pools: Annotated[list[Pool], msgspec.Meta(min_length=1, max_length=256)]
    routers: Count = 1
    limits: Limits = Limits()

    def model(self, name: str) -> Model:
        return next(m for m in self.models if m.name == name)

    def engine_settings(self, pool: Pool) -> EngineSettings:
        """Those of the pool's model with the pool's own over them."""
        base = msgspec.to_builtins(self.model(pool.model).options)
        return msgspec.convert({**base, **pool.options}, EngineSettings)


def read_pool_file(path: Path | str) -> PoolFile:
    """A pool file. Raises PoolFileError, and OSError where it cannot be read."""
    data = Path(path).read_bytes()
    if len(data) > MAX_BYTES:
        raise PoolFileError(str(path), 1, "", f"it has {len(data)} bytes; allowed: at most {MAX_BYTES}")
    return parse_pool_file(data, str(path))


def parse_pool_file(text: str | bytes, file: str = "pool file") -> PoolFile:
    """As `read_pool_file`, from its text; `file` is what errors call it."""
    document = _Document(text, file)
    try:
        found = msgspec.convert(document.value, PoolFile)
    except msgspec.ValidationError as error:
        raise document.error_of(str(error)) from None
    _check(found, document)
    return found


def _check(found: PoolFile, document: _Document) -> None:
    """What no type says."""
    models: set[str] = set()
    for i, model in enumerate(found.models):
        if model.name in models:
            raise document.error(f"models[{i}].name", f"{shown(model.name)} is the name of another model, too")
        if not model.name.isprintable():
            raise document.error(f"models[{i}].name", f"{shown(model.name)}; allowed: printable characters")
        models.add(model.name)
    pools: set[str] = set()
    for i, pool in enumerate(found.pools):
        at = f"pools[{i}]"
        if pool.name in pools:
            raise document.error(f"{at}.name", f"{shown(pool.name)} is the name of another pool, too")
        pools.add(pool.name)
        if pool.model not in models:
            raise document.error(f"{at}.model", f"no model {shown(pool.model)}; there are {_listed(models)}")
        n = pool.replica_range
        if n.min > n.max:
            raise document.error(f"{at}.replicas", f"min is {n.min} and max {n.max}; allowed: min at most max")
        try:
            found.engine_settings(pool)
        except msgspec.ValidationError as error:
            raise document.error_of(str(error), f"{at}.options") from None
    for name in sorted(models - {pool.model for pool in found.pools}):
        at = next(i for i, model in enumerate(found.models) if model.name == name)
        raise document.error(f"models[{at}]", f"no pool serves {shown(name)}")


def _listed(names: set[str]) -> str:
    return ", ".join(map(shown, sorted(names)))


# -- YAML with places -------------------------------------------------------------------------------------


class _Document:
    """A YAML document: its value, and the line of each field."""

    def __init__(self, text: str | bytes, file: str) -> None:
        self.file = file
        self.lines: dict[str, int] = {"": 1}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise PoolFileError(file, mark.line + 1 if mark else 1, "", f"it is no YAML: {problem}") from None
        except (UnicodeDecodeError, RecursionError) as error:
            reason = "it is nested too deep" if isinstance(error, RecursionError) else "it is no UTF-8"
            raise PoolFileError(file, 1, "", reason) from None
        if node is None:
            raise PoolFileError(file, 1, "", "it is empty; needed: models and pools")
        self.nodes = 0
        self.loader = yaml.SafeLoader("")
        try:
            self.value = self._value(node, "", 0)
        finally:
            self.loader.dispose()

    def _value(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > 32:
            raise self.error(path, f"it is larger than {MAX_NODES} values or deeper than 32")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._scalar(node, path)
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise PoolFileError(self.file, line, path, "a key is no text")
            here = f"{path}.{key}" if path else key
            if key in out:
                raise PoolFileError(self.file, line, here, f"it is given twice; first in line {self.lines[here]}")
            self.lines[here] = line
            out[key] = self._value(value_node, here, depth + 1)
        return out

    def _scalar(self, node: yaml.Node, path: str) -> Any:
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            problem = getattr(error, "problem", None) or str(error)
            raise PoolFileError(self.file, node.start_mark.line + 1, path, problem) from None

    def error(self, path: str, message: str) -> PoolFileError:
        """About a field that is there, or the nearest that is."""
        at = path
        while at not in self.lines:
            at = at[: max(at.rfind("."), at.rfind("["), 0)]
        return PoolFileError(self.file, self.lines[at], path, message)

    def error_of(self, text: str, base: str = "") -> PoolFileError:
        """msgspec's error with our words; `base` is where its paths begin."""
        message, _, path = text.partition(" - at `$")
        at = (base + path.rstrip("`").replace("[...]", "")).removeprefix(".")
        unknown, missing = (re.search(f"{what} field `(.*)`", message) for what in ("unknown", "required"))
        if unknown:
            near = did_you_mean(unknown[1], _fields(at))
            return self.error(f"{at}.{unknown[1]}".removeprefix("."), f"there is no such field{near}")
        if missing:
            return self.error(at, f"{missing[1]} is missing")
        found = self._at(at)
        for ours, theirs in ((NAME_TEXT, f"matching regex '{NAME}'"), ("expected ", "Expected "), ("", "`")):
            message = message.replace(theirs, ours)
        return self.error(at, message if isinstance(found, dict | list) else f"{shown(found)}; {message}")

    def _at(self, path: str) -> Any:
        found = self.value
        for part in re.findall(r"[^.\[\]]+", path):
            found = found[int(part) if isinstance(found, list) else part]
        return found


def _fields(path: str) -> Iterator[str]:
    """The fields that a section may have."""
    kind: Any = PoolFile
    for part in re.findall(r"[^.\[\]]+", re.sub(r"\[\d+\]", "", path)):
        kind = {
            "models": Model, "pools": Pool, "limits": Limits, "replicas": CountRange, "resources": Resources,
            "options": EngineSettings,
        }.get(part)  # fmt: skip
        if kind is None:
            return iter(())
    return iter(kind.__struct_fields__)
