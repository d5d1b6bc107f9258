"""Compiling an entry, and the manifest by which the next process finds it."""

from __future__ import annotations

import json
from typing import Any

from sapwood.lang.border.boundary import AddressParam
from sapwood.lang.border.results import ResultShape
from sapwood.lang.loading.fingerprint import symbol_name
from sapwood.lang.loading.load import load_links
from sapwood.lang.loading.object_code import inline_failure, object_key, object_of
from sapwood.lang.loading.specialisation import Specialisation
from sapwood.lang.loading.units import link_record
from sapwood.lang.pipeline import compile_entry
from sapwood.runtime.cache import default_store
from sapwood.runtime.entry import TensorParam
from sapwood.runtime.jit import UnresolvedSymbolError, load_object
from sapwood.targets.base import Target


def build_entry(fn: Any, arguments: list[Any], passed: list[Any], target: Target, key: str) -> Specialisation:
    """The specialisation of `fn` for classified arguments, compiled now; `passed` is what its entry gets, `key` the
    fast key that its manifest is kept under."""
    symbol = f"{symbol_name(fn.__wrapped__)}_{key[:12]}"
    store = default_store()
    compiled = compile_entry(fn, arguments, target, symbol)
    content = object_key(compiled.text, target)
    obj = object_of(compiled, store, content, target)
    links = [link_record(unit) for unit in compiled.links.values()]
    assert compiled.signature is not None and compiled.shape is not None
    written = tuple(p.writable for p in compiled.signature.params if isinstance(p, TensorParam))
    records = tuple(p.writable for p in compiled.signature.params if isinstance(p, AddressParam))
    try:
        loaded = load_object(obj, load_links(store, links, {u.symbol: u for u in compiled.links.values()}))
    except UnresolvedSymbolError as e:
        raise inline_failure(compiled, str(e)) or e from None
    heap = _heap_record(compiled)
    shape = _shape_record(compiled.shape)
    if store is not None and shape is not None and compiled.dependencies.cacheable:
        manifest = {
            "object": content,
            "symbol": symbol,
            "links": links,
            **made_of(compiled, fn),
            "written": written,
            "records": records,
            "shape": shape,
            "mutated": compiled.mutated,
            "heap": heap,
        }
        if named(manifest):
            store.put_manifest(key, json.dumps(manifest).encode())
    entry = f"{symbol}.entry"
    return Specialisation(passed, loaded, entry, compiled.shape, compiled.mutated, written, heap, records)


def made_of(compiled: Any, fn: Any) -> dict[str, Any]:
    """The functions and constants that code was made of, for its manifest."""
    return {
        "functions": [[*k, v] for k, v in _all_functions(compiled).items() if not _covered(k, fn)],
        "constants": [[*k, v] for k, v in _all_constants(compiled).items()],
    }


def named(manifest: dict[str, Any]) -> bool:
    """Whether another process can look all of its functions up."""
    return all("<" not in k[1] for k in manifest["functions"])


def _heap_record(compiled: Any) -> Any:
    found = compiled.program.entry.attrs.get("heap")
    return None if found is None else (found[0], found[1], len(found[2]))


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


