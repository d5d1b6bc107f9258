"""From a specialisation to loaded native code: the two-key cache, linking of units, entries.

Fast key: what is asked for (function, argument kinds, target, compiler). Its manifest names the object and
lists everything the object was made from; if all of that is unchanged, the front end is skipped. Content key:
the LLVM text itself, so that equal code is optimised once, whatever asked for it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakSet

import sapwood
from sapwood import config
from sapwood.lang.boundary import SIMPLE, AddressParam, HeapArg, RecordArg, ResultShape, ScalarArg, restore
from sapwood.lang.errors import ArgumentMistake, Loc, NoLaunch
from sapwood.lang.fingerprint import describe_constant, digest, fingerprint, symbol_name
from sapwood.lang.function import wrap_function
from sapwood.lang.heap_border import Reader, Writer
from sapwood.lang.parameters import spread_names
from sapwood.lang.types import I64
from sapwood.runtime import heap
from sapwood.runtime.array import Array
from sapwood.runtime.cache import default_store
from sapwood.runtime.callable import NativeFunction, push_entry
from sapwood.runtime.entry import TensorParam
from sapwood.runtime.jit import LoadedObject, UnresolvedSymbolError, load_object
from sapwood.runtime.support import register_python_symbols
from sapwood.targets.base import Target, get_target, host_target

LAUNCH_ARG = ScalarArg(I64)  # of the numbers that come before a kernel's arguments (pipeline.LAUNCH_PARAMS)

_target_override: list[Target] = []


def current_target() -> Target:
    """The target that functions are compiled for now."""
    if _target_override:
        return _target_override[-1]
    return _default_target(config.target(), tuple(config.disable_features()), config.opt_level())


@lru_cache(maxsize=32)
def _default_target(name: str | None, disabled: tuple[str, ...], level: int) -> Target:
    chosen = get_target(name) if name else None
    chosen = host_target() if chosen is None or chosen.kernel else chosen
    return chosen if chosen.opt_level == level else replace(chosen, opt_level=level)


def kernel_target() -> Target:
    """The target that kernels are compiled for and launched on now: SAPWOOD_TARGET if it has kernels, else simt."""
    return _kernel_target(config.target(), current_target())


@lru_cache(maxsize=32)
def _kernel_target(name: str, host: Target) -> Target:
    chosen = get_target(name) if name else None
    if chosen is not None and chosen.kernel and chosen.name != "simt":
        return chosen
    from sapwood.targets import simt

    return simt.on(host)


class use_target:
    """`with use_target(t):` compile and run for another target (tests of lower feature levels).

    Each target has entries of its own: a function's chain is exchanged on the way in and out. Not for use
    from several threads at once.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.outer = ""

    def __enter__(self) -> Target:
        self.outer = current_target().key
        _exchange_entries(self.outer, self.target.key)
        _target_override.append(self.target)
        return self.target

    def __exit__(self, *exc: object) -> None:
        _target_override.pop()
        _exchange_entries(self.target.key, self.outer)


def _exchange_entries(old: str, new: str) -> None:
    """Put aside the entries for one target and take up those for another, or the same."""
    for fn in list(_attached):
        _heads.setdefault(old, WeakKeyDictionary())[fn] = fn._vectorcall
        fn._vectorcall = _heads.setdefault(new, WeakKeyDictionary()).get(fn, 0)


_attached: WeakSet[Any] = WeakSet()  # functions that have entries
_heads: dict[str, WeakKeyDictionary[Any, int]] = {}  # target -> function -> head of its chain


@lru_cache(maxsize=1)
def compiler_key() -> str:
    """Changes whenever the compiler does: version, sources of this ring, LLVM, Python (Unicode tables, texts of
    exceptions)."""
    import llvmlite

    root = Path(sapwood.__file__).parent
    files = sorted(p for d in ("lang", "targets", "runtime") for p in (root / d).rglob("*.py"))
    stats = [(str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return digest(llvmlite.__version__, sys.version, stats)


# -- loaded things -------------------------------------------------------------------------------------


class ReadOnlyArgument(ArgumentMistake, ValueError):
    code = "A002"
    message = "{function}(): argument '{name}' is written to, but the array is read-only"
    help = "pass a writable array, for example a copy"


class Specialisation:
    """A function compiled and loaded for one combination of argument kinds."""

    def __init__(
        self,
        arguments: list[Any],
        loaded: LoadedObject,
        entry: str,
        shape: ResultShape,
        mutated: tuple[int, ...],
        written: tuple[bool, ...],
        heap: Any = None,
        records: tuple[bool, ...] = (),
    ) -> None:
        self.records = records  # of each argument that is a structured array, whether it is written
        self.arguments = arguments
        self.heap = _heap_table(heap, loaded, entry)  # (description, roots, drop functions) of objects that come in
        self.loaded = loaded
        self.entry = entry
        self.shape = shape
        self.mutated = mutated
        self.written = written  # of each argument that is a tensor
        self.direct = shape.simple and not mutated and all(
            getattr(a, "comparable", isinstance(a, SIMPLE)) for a in arguments
        )
        self.busy = threading.local()
        self.native: Any = None

    def attach(self, native: Any) -> None:
        """Make calls reach the entry: in the function's own chain, or through a flat one."""
        self.fn = native
        parameters = native.state.signature.parameters.values()
        if native.options.kernel or any(p.kind is p.KEYWORD_ONLY for p in parameters):
            self.direct = False  # an entry takes positional arguments; a kernel is launched, not called
        if self.direct:
            self.native = native
            _attached.add(native)
        else:
            self.native = NativeFunction(lambda *args, **kwargs: self._mismatch(native, list(args)))
        push_entry(self.native, self.loaded, self.entry)

    def call(self, values: list[Any]) -> Any:
        """Call with Python values that fit this specialisation."""
        if getattr(self.busy, "calling", False):
            self._mismatch(self.native, values)
        flat: list[Any] = []
        writer = None if self.heap is None else Writer(self.heap[0], self.heap[2])
        roots = iter(self.heap[1] if self.heap is not None else ())
        objects: list[int] = []
        if self.records:
            self._check_records(values)
        try:
            for argument, value in zip(self.arguments, values, strict=True):
                if writer is not None and isinstance(argument, HeapArg):
                    objects.append(writer.write(next(roots), value))
                    flat.append(objects[-1])
                else:
                    flat += argument.flatten(value)
        except BaseException:
            for address in objects:
                heap.release(address)
            raise
        self.busy.calling = True
        try:
            result = self.native(*flat)
        finally:
            self.busy.calling = False
        return result if self.direct else self._unflatten(result, values, flat, writer)

    def _unflatten(self, result: Any, values: list[Any], flat: list[Any], writer: Writer | None) -> Any:
        if self.shape.simple and not self.mutated:
            return result
        items = iter(result if isinstance(result, tuple) else (result,))
        owners = tuple(v for v in flat if isinstance(v, Array))
        reader = None if writer is None else Reader(writer.made)
        return restore(self.shape, self.arguments, self.mutated, items, owners, values, reader)

    def _check_records(self, values: list[Any]) -> None:
        arrays = [v for a, v in zip(self.arguments, values, strict=True) if isinstance(a, RecordArg)]
        for x, written in zip(arrays, self.records, strict=False):
            if written and not x.flags.writeable:
                place = next(i for i, v in enumerate(values) if v is x)
                raise read_only(self.fn, list(self.fn.state.signature.parameters)[place])

    def _mismatch(self, native: Any, values: list[Any]) -> None:
        tensors = [v for v in values if isinstance(v, Array)]
        name = getattr(native, "__name__", "function")
        for v, written in zip(tensors, self.written, strict=False):
            if written and v.readonly:
                raise read_only(native, _name_of(native, values, v))
        raise TypeError(f"{name}(): the arguments changed while the call was being prepared")


def _heap_table(record: Any, loaded: LoadedObject, entry: str) -> Any:
    if record is None:
        return None
    text, roots, count = record
    table = (ctypes.c_void_p * count).from_address(loaded.address(f"{entry.removesuffix('.entry')}.drops"))
    return text, roots, list(table)


def read_only(fn: Any, name: str) -> ReadOnlyArgument:
    """The diagnostic about parameter `name` of a compiled function."""
    from sapwood.lang.front.ast2hir import lower_function

    places = [p.loc for p in lower_function(fn.__wrapped__).params if p.name == name]
    return ReadOnlyArgument(None, tuple(("declared here", p) for p in places), function=fn.__name__, name=name)


def _name_of(native: Any, values: list[Any], x: Any) -> str:
    names = spread_names(native.state.signature, len(values)) if hasattr(native, "state") else []
    at = next((i for i, v in enumerate(values) if v is x), 0)
    return names[at] if at < len(names) else f"argument {at}"


# -- entries -------------------------------------------------------------------------------------------


def load_entry(fn: Any, arguments: list[Any]) -> Specialisation:
    """The specialisation of `fn` for classified arguments: from the cache, or compiled and cached."""
    from sapwood.lang import runtime_support, simt_runtime

    register_python_symbols()
    runtime_support.install()
    target = kernel_target() if fn.options.kernel else current_target()
    if target.gpu:
        hint = 'its code is k.inspect(..., kind="asm"); run it with SAPWOOD_TARGET=simt'
        raise NoLaunch(None, name=fn.__name__, target=target.name, hint=hint)
    if fn.options.kernel:
        simt_runtime.install()
    passed = [*[LAUNCH_ARG] * 8, *arguments] if fn.options.kernel else arguments
    python = fn.__wrapped__
    kinds = [_kind(a) for a in arguments]
    key = digest(
        "entry", python.__module__, python.__qualname__, fingerprint(fn), kinds, target.key, compiler_key()
    )
    store = default_store()
    found = _from_cache(store, key, passed)
    if found is not None:
        return found
    from sapwood.lang.pipeline import compile_entry

    symbol = f"{symbol_name(python)}_{key[:12]}"
    compiled = compile_entry(fn, arguments, target, symbol)
    content = object_key(compiled.text, target)
    obj = _object_of(compiled, store, content, target)
    links = [_link_record(unit) for unit in compiled.links.values()]
    assert compiled.signature is not None and compiled.shape is not None
    written = tuple(p.writable for p in compiled.signature.params if isinstance(p, TensorParam))
    records = tuple(p.writable for p in compiled.signature.params if isinstance(p, AddressParam))
    try:
        loaded = load_object(obj, _load_links(store, links, {u.symbol: u for u in compiled.links.values()}))
    except UnresolvedSymbolError as e:
        raise _inline_failure(compiled, str(e)) or e from None
    shape = _shape_record(compiled.shape)
    if store is not None and shape is not None and compiled.dependencies.cacheable:
        manifest = {
            "object": content,
            "symbol": symbol,
            "links": links,
            "functions": [[*k, v] for k, v in _all_functions(compiled).items() if not _covered(k, fn)],
            "constants": [[*k, v] for k, v in _all_constants(compiled).items()],
            "written": written,
            "records": records,
            "shape": shape,
            "mutated": compiled.mutated,
            "heap": _heap_record(compiled),
        }
        if all("<" not in k[1] for k in manifest["functions"]):
            store.put_manifest(key, json.dumps(manifest).encode())
    heap_record = _heap_record(compiled)
    entry = f"{symbol}.entry"
    return Specialisation(passed, loaded, entry, compiled.shape, compiled.mutated, written, heap_record, records)


def _heap_record(compiled: Any) -> Any:
    found = compiled.program.entry.attrs.get("heap")
    return None if found is None else (found[0], found[1], len(found[2]))


def _kind(argument: Any) -> str:
    if isinstance(argument, HeapArg):
        return f"heap:{describe_constant(argument.cls)}"
    known = getattr(argument, "known", None)
    if known is not None:
        value = known.value
        if hasattr(value, "options") and hasattr(value, "__wrapped__"):
            return f"function:{fingerprint(value)}"
        return f"const:{describe_constant(value)}"
    items = getattr(argument, "items", None)
    if items is not None:
        return f"({','.join(map(_kind, items))})"
    fields = getattr(argument, "fields", None)
    if fields is not None:
        return f"{describe_constant(argument.cls)}({','.join(_kind(a) for _, a in fields)})"
    return repr(argument)


def _covered(key: tuple[str, str], fn: Any) -> bool:
    """Dependencies that the fast key itself covers: the function, and lambdas among its arguments."""
    python = fn.__wrapped__
    return key == (python.__module__, python.__qualname__)


def _all_functions(compiled: Any) -> dict[tuple[str, str], str]:
    out = dict(compiled.dependencies.functions)
    for unit in compiled.links.values():
        out.update(unit.functions)
    return out


def _all_constants(compiled: Any) -> dict[tuple[str, str], str]:
    out = dict(compiled.dependencies.constants)
    for unit in compiled.links.values():
        out.update(unit.constants)
    return out


def _from_cache(store: Any, key: str, arguments: list[Any]) -> Specialisation | None:
    if store is None or config.debug():
        return None
    raw = store.get_manifest(key)
    if raw is None:
        return None
    try:
        manifest = json.loads(raw)
        if not _unchanged(manifest):
            return None
        obj = store.get_object(manifest["object"])
        if obj is None:
            return None
        links = _load_links(store, manifest["links"], {})
        loaded = load_object(obj, links)
        shape = _shape_from_record(manifest["shape"])
        entry = f"{manifest['symbol']}.entry"
        return Specialisation(
            arguments, loaded, entry, shape, tuple(manifest["mutated"]), tuple(manifest["written"]), manifest["heap"],
            tuple(manifest["records"]),
        )
    except (KeyError, ValueError, TypeError, LookupError):
        return None  # an entry of another shape than ours is no entry


def _unchanged(manifest: dict[str, Any]) -> bool:
    for module, qualname, text in manifest["functions"]:
        found = _resolve(module, qualname)
        if found is None or not hasattr(found, "options") or fingerprint(found) != text:
            return False
    for module, name, text in manifest["constants"]:
        scope = sys.modules.get(module)
        import builtins

        value = scope
        for part in name.split("."):
            value = getattr(value, part, None)
        value = getattr(builtins, name, None) if value is None else value
        if describe_constant(value) != text:
            return False
    return True


def _resolve(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    owner: Any = None
    for part in qualname.split("."):
        owner, found = found, getattr(found, part, None)
    if isinstance(owner, type):
        from sapwood.lang.structs import member_of

        name = qualname.rsplit(".", 1)[-1]
        raw = vars(owner).get(name)
        found = None if raw is None else member_of(raw)[1]
        return wrap_function(found.fget) if isinstance(found, property) else found
    return found


def _shape_record(shape: ResultShape) -> Any:
    items = [_shape_record(i) for i in shape.items]
    if None in items:
        return None
    data: Any = shape.data
    if isinstance(data, type):
        if "<" in data.__qualname__:
            return None
        data = ["class", data.__module__, data.__qualname__]
    elif not isinstance(data, str | int | float | bool | tuple | None):
        return None
    return {"kind": shape.kind, "data": data, "items": items}


def _shape_from_record(record: dict[str, Any]) -> ResultShape:
    data = record["data"]
    if isinstance(data, list):
        data = _resolve(data[1], data[2]) if data[:1] == ["class"] else tuple(data)
        if data is None:
            raise LookupError
    return ResultShape(record["kind"], data, tuple(_shape_from_record(i) for i in record["items"]))


# -- objects and units -----------------------------------------------------------------------------------


def object_key(text: str, target: Target) -> str:
    """The content key of LLVM text."""
    return digest("object", text, target.key, compiler_key())


def make_object(store: Any, content: str, text: str, target: Target) -> bytes:
    """Object code of LLVM text, from the store or from LLVM."""
    from sapwood.targets.codegen import emit_object

    obj = store.get_object(content) if store is not None else None
    if obj is None:
        obj = emit_object(text, target)
        if store is not None:
            store.put_object(content, obj)
    return obj


def _object_of(compiled: Any, store: Any, content: str, target: Target) -> bytes:
    """`make_object`, where what LLVM says of a user's inline code becomes a diagnostic."""
    from sapwood.targets.isolated import IsolatedCodegenError

    try:
        return make_object(store, content, compiled.text, target)
    except IsolatedCodegenError as e:
        raise _inline_failure(compiled, str(e)) or e from None


def _inline_failure(compiled: Any, detail: str) -> Exception | None:
    """The diagnostic about the inline code of a program, if it has any."""
    from sapwood.lang.errors_systems import InlineCodeFailed
    from sapwood.lang.ops.inline import NAMES

    places = [op.loc for op in compiled.program.walk() if op.name in NAMES]
    return InlineCodeFailed(places[0], detail=detail) if places else None


# LLVM works in a thread of its own while the front end goes on with the next unit (calls of LLVM release the GIL).
_background = ThreadPoolExecutor(1, thread_name_prefix="sapwood-codegen")


def _after_fork() -> None:
    """Threads do not survive fork."""
    global _background
    _background = ThreadPoolExecutor(1, thread_name_prefix="sapwood-codegen")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Unit:
    """A function compiled on its own, which compiled callers link to. `obj` waits for its object code."""

    def __init__(self, compiled: Any, content: str, obj: Future[bytes], links: dict[str, Unit]) -> None:
        self.symbol = compiled.symbol
        self.result = compiled.result
        self.content = content
        self.links = links
        self.functions: dict[tuple[str, str], str] = dict(compiled.dependencies.functions)
        self.constants: dict[tuple[str, str], str] = dict(compiled.dependencies.constants)
        for unit in links.values():
            self.functions.update(unit.functions)
            self.constants.update(unit.constants)
        entry = compiled.program.entry
        self.may_raise: bool = entry.may_raise
        self.written: frozenset[int] = entry.written
        self.uses_pool = any(op.name == "parallel_for" for op in compiled.program.walk()) or any(
            u.uses_pool for u in links.values()
        )
        self.needs_gil: bool = compiled.program.needs_gil
        self.program = compiled.program
        self._obj = obj

    @property
    def obj(self) -> bytes:
        return self._obj.result()


class StoredUnit:
    """A unit of the library that an earlier process compiled: what callers ask of it stands in the cache.

    Its program is made only for those who look into it (the reference evaluator).
    """

    functions: ClassVar[dict[tuple[str, str], str]] = {}  # the compiler's own key covers the library
    constants: ClassVar[dict[tuple[str, str], str]] = {}

    def __init__(self, record: dict[str, Any], result: Any, store: Any, compile: Callable[[], Any]) -> None:
        self.symbol: str = record["symbol"]
        self.content: str = record["object"]
        self.may_raise: bool = record["may_raise"]
        self.written: frozenset[int] = frozenset(record["written"])
        self.uses_pool: bool = record["uses_pool"]
        self.needs_gil: bool = record["needs_gil"]
        self.result = result
        self.link_records: list[dict[str, Any]] = record["links"]
        self._store = store
        self._compile = compile

    @cached_property
    def compiled(self) -> Any:
        return self._compile()

    @property
    def program(self) -> Any:
        return self.compiled.program

    @property
    def links(self) -> dict[str, Any]:
        return self.compiled.links

    @property
    def obj(self) -> bytes:
        found = self._store.get_object(self.content)
        if found is None:  # pruned since the record was read
            found = make_object(self._store, self.content, self.compiled.text, self.program.target)
        return found


_loaded: dict[str, LoadedObject] = {}
_lock = threading.RLock()


def unit_for(fn: Any, arguments: tuple[Any, ...], interpreter: Any) -> Unit | StoredUnit:
    """The unit of `fn` for abstract arguments, compiled once per process and target; one of the library comes from
    the cache without a walk over its source."""
    from sapwood.lang.pipeline import compile_unit
    from sapwood.lang.values import spec_of

    target = interpreter.target
    key = (tuple(map(spec_of, arguments)), target.key)
    units = fn.state.units
    with _lock:
        unit = units.get(key)
        if unit is None:
            kinds = [str(s) for s in key[0]]
            name = f"{symbol_name(fn.__wrapped__)}_{digest(fingerprint(fn), kinds, target.key)[:16]}"
            store = default_store() if fn.__wrapped__.__module__.startswith("sapwood.lang.library.") else None
            result = _declared_result(fn) if store is not None and not config.debug() else None
            record_key = "" if result is None else digest("unit", name, kinds, target.key, compiler_key())
            record = _stored_unit(store, record_key) if result is not None else None
            if record is not None:
                unit = StoredUnit(record, result, store, lambda: compile_unit(fn, arguments, target, name))
            else:
                compiled = compile_unit(fn, arguments, target, name)
                content = object_key(compiled.text, target)
                obj = _background.submit(_object_of, compiled, default_store(), content, target)
                unit = Unit(compiled, content, obj, dict(compiled.links))
                if result == unit.result and store is not None and not unit.functions and not unit.constants:
                    facts = {
                        "may_raise": unit.may_raise, "written": sorted(unit.written), "uses_pool": unit.uses_pool,
                        "needs_gil": unit.needs_gil,
                    }  # fmt: skip
                    store.put_manifest(record_key, json.dumps({**_link_record(unit), **facts}).encode())
            units[key] = unit
        return unit


def _declared_result(fn: Any) -> Any:
    """The spec of what a function says that it returns; None if it does not say exactly."""
    from sapwood.lang.infer.declared import declare, spec_of_declared
    from sapwood.lang.infer.interpreter import evaluate_annotation

    python = fn.__wrapped__
    if "return" not in python.__annotations__:
        return None
    loc = Loc(python.__code__.co_filename, python.__code__.co_firstlineno, 0, 0, 0, python.__name__)
    found = evaluate_annotation(python.__annotations__["return"], python, loc, "return")
    return spec_of_declared(declare(found, "return", loc))


def _stored_unit(store: Any, key: str) -> dict[str, Any] | None:
    """The record of a unit in the cache, if it and all that it links to are there."""
    raw = store.get_manifest(key)
    if raw is None:
        return None
    try:
        record = json.loads(raw)
        missing = any(store.get_object(r["object"]) is None for r in [record, *_all_links(record)])
        return None if missing else record
    except (ValueError, KeyError, TypeError):
        return None


def _all_links(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for below in record["links"]:
        yield below
        yield from _all_links(below)


def _link_record(unit: Unit | StoredUnit) -> dict[str, Any]:
    below = unit.link_records if isinstance(unit, StoredUnit) else [_link_record(u) for u in unit.links.values()]
    return {"symbol": unit.symbol, "object": unit.content, "links": below}


def _load_links(store: Any, records: list[dict[str, Any]], units: dict[str, Any]) -> dict[str, int]:
    """Addresses of linked symbols; loads each object once per process."""
    out: dict[str, int] = {}
    for record in records:
        content, symbol = record["object"], record["symbol"]
        with _lock:
            if content not in _loaded:
                unit = units.get(symbol)
                obj = unit.obj if unit is not None else store.get_object(content) if store is not None else None
                if obj is None:
                    raise LookupError(symbol)
                below = _load_links(store, record["links"], dict(unit.links) if isinstance(unit, Unit) else {})
                _loaded[content] = load_object(obj, below)
            out[symbol] = _loaded[content].address(symbol)
    return out
