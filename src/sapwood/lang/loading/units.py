"""Functions compiled on their own, which compiled callers link to."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, ClassVar

from sapwood import config
from sapwood.lang.errors import Loc
from sapwood.lang.loading.fingerprint import compiler_key, digest, fingerprint, symbol_name
from sapwood.lang.loading.object_code import make_object, object_key, object_of
from sapwood.runtime.cache import default_store

# LLVM works in a thread of its own while the front end goes on with the next unit (calls of LLVM release the GIL).
_background = ThreadPoolExecutor(1, thread_name_prefix="sapwood-codegen")


def _after_fork() -> None:
    """Threads do not survive fork."""
    global _background
    _background = ThreadPoolExecutor(1, thread_name_prefix="sapwood-codegen")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_lock = threading.RLock()


class Unit:
    """A function compiled on its own, which compiled callers link to. `obj` waits for its object code."""

    def __init__(self, compiled: Any, content: str, obj: Future[bytes], links: dict[str, Unit]) -> None:
        from sapwood.lang.lower.appended import keeps_length
        from sapwood.lang.passes.headers import Headers

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
        self.quiet: bool = entry.quiet
        self.changes: frozenset[int] | None = Headers().parameters(entry)
        self.keeps_length: bool = keeps_length(entry)
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

    @property
    def made(self) -> dict[str, Any]:
        """The units of this process that it links to."""
        return self.links


class StoredUnit:
    """A unit of the library that an earlier process compiled: what callers ask of it stands in the cache.

    Its program is made only for those who look into it (the reference evaluator).
    """

    functions: ClassVar[dict[tuple[str, str], str]] = {}  # the compiler's own key covers the library
    constants: ClassVar[dict[tuple[str, str], str]] = {}
    made: ClassVar[dict[str, Any]] = {}  # the store has all that it links to

    def __init__(self, record: dict[str, Any], result: Any, store: Any, compile: Callable[[], Any]) -> None:
        self.symbol: str = record["symbol"]
        self.content: str = record["object"]
        self.may_raise: bool = record["may_raise"]
        self.quiet: bool = record["quiet"]
        self.changes: frozenset[int] | None = None if record["changes"] is None else frozenset(record["changes"])
        self.keeps_length: bool = record["keeps_length"]
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
            result = _foreseen_result(fn, arguments) if store is not None and not config.debug() else None
            record_key = "" if result is None else digest("unit", name, kinds, target.key, compiler_key())
            record = _stored_unit(store, record_key) if result is not None else None
            if record is not None:
                unit = StoredUnit(record, result, store, lambda: compile_unit(fn, arguments, target, name))
            else:
                compiled = compile_unit(fn, arguments, target, name)
                content = object_key(compiled.text, target)
                obj = _background.submit(object_of, compiled, default_store(), content, target)
                unit = Unit(compiled, content, obj, dict(compiled.links))
                if result == unit.result and store is not None and not unit.functions and not unit.constants:
                    facts = {
                        "may_raise": unit.may_raise, "written": sorted(unit.written), "uses_pool": unit.uses_pool,
                        "needs_gil": unit.needs_gil, "quiet": unit.quiet, "keeps_length": unit.keeps_length,
                        "changes": None if unit.changes is None else sorted(unit.changes),
                    }  # fmt: skip
                    store.put_manifest(record_key, json.dumps({**link_record(unit), **facts}).encode())
            units[key] = unit
        return unit


def _foreseen_result(fn: Any, arguments: tuple[Any, ...]) -> Any:
    """The spec of what a function says that it returns, or of the container that it makes; None if that is not known
    exactly."""
    from sapwood.lang.declared import declare, spec_of_declared
    from sapwood.lang.infer.erasure import made_by
    from sapwood.lang.signatures import evaluate_annotation

    python = fn.__wrapped__
    made = made_by(fn, arguments)
    if made is not None or "return" not in python.__annotations__:
        return made
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


def link_record(unit: Unit | StoredUnit) -> dict[str, Any]:
    below = unit.link_records if isinstance(unit, StoredUnit) else [link_record(u) for u in unit.links.values()]
    return {"symbol": unit.symbol, "object": unit.content, "links": below}
