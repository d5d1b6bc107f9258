"""Lists, dicts and sets of a module (and defaults of parameters) in compiled code: a copy that is frozen when the
function is compiled, made when it is first needed and kept. Changing it is a mistake that passes/written.py finds."""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.border.object_types import object_misfit, spec_of_object
from sapwood.lang.errors import ForeignObject, Loc
from sapwood.lang.errors.containers import MutatedConstant
from sapwood.lang.infer.narrow import some
from sapwood.lang.ir.ssa import Region, Var
from sapwood.lang.ops import heap
from sapwood.lang.ops.constant_containers import keep_constant, kept_constant, live_count
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Known, Spec, Value
from sapwood.runtime.python_api import NoConstant, constant_text

KINDS = (list, dict, set, frozenset, deque)


def declared_spec(python: Any, name: str) -> Spec | None:
    """What the module says of a name: `TABLE: dict[str, float] = {}`."""
    from sapwood.lang.declared import declare, spec_of_declared
    from sapwood.lang.errors import CompileError
    from sapwood.lang.signatures import evaluate_annotation

    annotation = python.__globals__.get("__annotations__", {}).get(name)
    if annotation is None:
        return None
    try:
        if isinstance(annotation, str):
            annotation = evaluate_annotation(annotation, python, Loc("", 0, 0, 0, 0, ""), name, own=False)
        return spec_of_declared(declare(annotation, name, None))
    except CompileError:
        return None


def constant_container(w: Any, value: Any, name: str, spec: Spec | None = None, what: str = "") -> Value:
    """The native copy of a Python container; raises ForeignObject of one that has none."""
    loc = w.b.loc
    if spec is None or spec.kind != "leaf" or not isinstance(spec.data, ty.Ref):
        spec = spec_of_object(value)
    misfit = "its elements have no type in common" if value else "nothing tells what it holds"
    if spec is not None:
        misfit = object_misfit(spec, value) or ""
    frozen = copy.deepcopy(value) if not misfit else value
    try:
        text = constant_text(frozen) if not misfit else ""
    except NoConstant:
        misfit = "it holds what has no name in a module"
    if misfit or spec is None:
        kind = type(value).__name__
        hint = f"{misfit}: annotate it, {name}: {kind}[...] = ..., or pass it as an argument"
        raise ForeignObject(loc, name=name, kind=kind, hint=hint)
    key = hashlib.blake2b(f"{spec}{text}".encode(), digest_size=12).hexdigest()
    instance = next(f.instance for f in reversed(w.interp.frames) if f.instance is not None)
    if key not in instance.constants:
        exact = Spec("leaf", ty.Ref(spec.data.target))
        instance.constants[key] = _made(w, instance.function, frozen, exact, key, what or f"'{name}'")
    return instance.constants[key]


def _made(w: Any, function: Any, value: Any, spec: Spec, key: str, what: str) -> Var:
    """Code at the beginning of the function that has the container made, if it is not there yet."""
    from sapwood.lang.library.border import constant_copy

    b, region, guard = w.b, Region(), w.b.guard
    b.guard = None
    optional = ty.Ref(spec.data.target, True)
    try:
        with w.at(region, b.loc):
            mistake = MutatedConstant(b.loc, what=what, type=spec.data.target)
            kept = b.emit(kept_constant, (), (optional,), {"key": key, "mistake": mistake})[0]

            def make() -> Value:
                before = b.emit(live_count, (), (I64,))[0]
                made = w.call_compiled(constant_copy, [Known(value), Known(ty.Stored(spec))], {})
                b.emit(keep_constant, (made, before), (), {"key": key})
                return made

            missing = b.emit1(heap.is_null, (kept,), BOOL)
            found = w.choose(missing, make, lambda: some(b, kept))
    finally:
        b.guard = guard
    function.body.ops[0:0] = region.ops
    assert isinstance(found, Var)
    return found
