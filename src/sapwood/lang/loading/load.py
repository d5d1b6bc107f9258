"""From a specialisation to loaded native code: the two-key cache, linking of units, entries.

Fast key: what is asked for (function, argument kinds, target, compiler). Its manifest names the object and
lists everything the object was made from; if all of that is unchanged, the front end is skipped. Content key:
the LLVM text itself, so that equal code is optimised once, whatever asked for it.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from sapwood import config
from sapwood.lang.border.arguments import HeapArg, ScalarArg
from sapwood.lang.border.results import ResultShape
from sapwood.lang.function import wrap_function
from sapwood.lang.loading.current_target import current_target, kernel_target
from sapwood.lang.loading.fingerprint import compiler_key, describe_constant, digest, fingerprint
from sapwood.lang.loading.specialisation import Specialisation
from sapwood.lang.types import I64
from sapwood.runtime.cache import default_store
from sapwood.runtime.jit import LoadedObject, load_object
from sapwood.runtime.support import register_python_symbols
from sapwood.targets.simt.layout import LAUNCH

LAUNCH_ARG = ScalarArg(I64)  # of the numbers that come before a kernel's arguments (Target.launch)


def load_entry(fn: Any, arguments: list[Any]) -> Specialisation:
    """The specialisation of `fn` for classified arguments: from the cache, or compiled and cached."""
    from sapwood.lang import simt_runtime
    from sapwood.lang.loading import runtime_support

    register_python_symbols()
    runtime_support.install()
    target = kernel_target() if fn.options.kernel else current_target()
    if fn.options.kernel:
        simt_runtime.install()
    passed = [*[LAUNCH_ARG] * len(LAUNCH), *arguments] if fn.options.kernel else arguments
    python = fn.__wrapped__
    kinds = [kind_of(a) for a in arguments]
    key = digest(
        "entry", python.__module__, python.__qualname__, fingerprint(fn), kinds, target.key, compiler_key()
    )
    store = default_store()
    found = _from_cache(store, key, passed)
    if found is not None:
        return found
    from sapwood.lang.loading.build import build_entry

    return build_entry(fn, arguments, passed, target, key)


def kind_of(argument: Any) -> str:
    """The text of a classified argument in cache keys."""
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
        return f"({','.join(map(kind_of, items))})"
    fields = getattr(argument, "fields", None)
    if fields is not None:
        return f"{describe_constant(argument.cls)}({','.join(kind_of(a) for _, a in fields)})"
    return repr(argument)


def _from_cache(store: Any, key: str, arguments: list[Any]) -> Specialisation | None:
    if store is None or config.debug():
        return None
    raw = store.get_manifest(key)
    if raw is None:
        return None
    try:
        manifest = json.loads(raw)
        if not unchanged(manifest):
            return None
        obj = store.get_object(manifest["object"])
        if obj is None:
            return None
        links = load_links(store, manifest["links"], {})
        loaded = load_object(obj, links)
        shape = _shape_from_record(manifest["shape"])
        entry = f"{manifest['symbol']}.entry"
        return Specialisation(
            arguments, loaded, entry, shape, tuple(manifest["mutated"]), tuple(manifest["written"]), manifest["heap"],
            tuple(manifest["records"]),
        )
    except (KeyError, ValueError, TypeError, LookupError):
        return None  # an entry of another shape than ours is no entry


def unchanged(manifest: dict[str, Any]) -> bool:
    """Whether all that the code was made of is still as it was."""
    for module, qualname, text in manifest["functions"]:
        found = wrap_function(_resolve(module, qualname))  # also functions without a decorator are compiled
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


def _shape_from_record(record: dict[str, Any]) -> ResultShape:
    data = record["data"]
    if isinstance(data, list):
        data = _resolve(data[1], data[2]) if data[:1] == ["class"] else tuple(data)
        if data is None:
            raise LookupError
    return ResultShape(record["kind"], data, tuple(_shape_from_record(i) for i in record["items"]))


# -- linked units ----------------------------------------------------------------------------------------


_loaded: dict[str, LoadedObject] = {}
_lock = threading.RLock()


def load_links(store: Any, records: list[dict[str, Any]], units: dict[str, Any]) -> dict[str, int]:
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
                below = load_links(store, record["links"], {} if unit is None else unit.made)
                _loaded[content] = load_object(obj, below)
            out[symbol] = _loaded[content].address(symbol)
    return out
