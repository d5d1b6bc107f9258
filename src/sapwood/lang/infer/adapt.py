"""How a value is brought to where paths meet: `adapt` emits, at the end of one path, what turns that path's value into
leaves of the spec that they have in common (lang/join.py)."""

from __future__ import annotations

import enum
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import is_character_spec, is_optional_spec
from sapwood.lang.values import Agg, Known, Spec, Unbound, Value, rebuild


def adapt(b: Any, value: Value, spec: Spec) -> list[Var]:
    """Leaves of `value` as `spec` wants them; emits conversions at the builder's place."""
    if spec.kind == "leaf":
        if isinstance(value, Var) and value.type == spec.data:
            return [value]
        value = _without_class(b, value)
        leaf = spec.data
        if isinstance(leaf, ty.Ref):
            return [adapt_reference(b, value, leaf)]
        if isinstance(leaf, ty.FunctionPointer):
            from sapwood.lang.infer.pointers import function_address

            assert isinstance(value, Known)
            return [function_address(b, value.value, leaf)]
        assert isinstance(leaf, ty.Scalar | ty.Simd)
        if isinstance(value, Known):
            return [b.const(value.value, leaf)]
        assert isinstance(value, Var)
        return [b.convert(value, leaf)]
    if is_optional_spec(spec):
        return _adapt_optional(b, value, spec)
    if isinstance(spec.data, ty.Complex):
        from sapwood.lang.infer.numbers.complex_numbers import parts

        return list(parts(b, value, spec.data.elem))
    if is_character_spec(spec) and isinstance(value, Known):
        return [b.index(ord(value.value))]
    if isinstance(spec.data, ty.Enum) and isinstance(value, Known):
        from sapwood.lang.infer.classes.enums import code_of

        return [code_of(b, value)]
    if spec.kind == "agg":
        items: Any = value.items if isinstance(value, Agg) else tuple(Known(v) for v in value.value)  # type: ignore[union-attr]
        return [leaf for item, s in zip(items, spec.items, strict=True) for leaf in adapt(b, item, s)]
    return []


def _without_class(b: Any, value: Value) -> Value:
    """A member of an Enum as the number or text that it is; other values as they are."""
    member = isinstance(value, Agg) and isinstance(value.type, ty.Enum)
    if not member and not (isinstance(value, Known) and isinstance(value.value, enum.Enum)):
        return value
    from sapwood.lang.infer.classes.enums import underlying

    return underlying(b, value)


def adapt_reference(b: Any, value: Value, leaf: ty.Ref) -> Var:
    """A reference as another type of reference to the same: nullable, or of a container that was empty."""
    from sapwood.lang.ops.heap import null, reference_as

    if isinstance(value, Known) and value.value is None:
        return b.emit1(null, (), leaf)  # None
    if isinstance(leaf.target, ty.TupleOf) and not isinstance(value, Var):
        from sapwood.lang.infer.containers.tuple_rows import row_of_items

        value = row_of_items(b.interpreter.frames[-1], value, leaf.target.elem)
    found = b.materialize(value)
    return found if found.type == leaf else b.emit1(reference_as, (found,), leaf)


def _adapt_optional(b: Any, value: Value, spec: Spec) -> list[Var]:
    inner = spec.items[1]
    if isinstance(value, Agg) and isinstance(value.type, ty.Optional):
        return [b.materialize(value.items[0]), *adapt(b, value.items[1], inner)]
    if isinstance(value, Known) and value.value is None:
        return [b.const(False, ty.BOOL), *(zero(b, t) for t in inner.leaves())]
    return [b.const(True, ty.BOOL), *adapt(b, value, inner)]


def zero(b: Any, leaf: ty.Leaf) -> Var:
    """A leaf of zero bits: what lies where a value is missing."""
    from sapwood.lang.ops.heap import null

    return b.const(0, leaf) if isinstance(leaf, ty.Scalar | ty.Simd) else b.emit1(null, (), leaf)


def fresh(spec: Spec, name: str = "") -> tuple[Value, list[Var]]:
    """A value of a spec with new variables as its leaves."""
    leaves = [Var(t, name) for t in spec.leaves()]
    return rebuild(spec, iter(leaves)), leaves


def same(a: Value, b: Value) -> bool:
    """Whether two values are the very same: equal constants, or the same variables."""
    if a is b:
        return True
    if isinstance(a, Agg) and isinstance(b, Agg):
        return a.type == b.type and all(same(x, y) for x, y in zip(a.items, b.items, strict=True))
    if isinstance(a, Known) and isinstance(b, Known):
        return a == b
    return isinstance(a, Unbound) and isinstance(b, Unbound)


