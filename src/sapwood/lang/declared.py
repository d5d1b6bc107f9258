"""Declared types: what annotations say. infer/fit.py fits arguments to them.

An annotation may hold type variables (`T`, `N`), which are bound by the first argument that mentions them.
"""

from __future__ import annotations

import enum
import types as pytypes
import typing
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import SIMD, Const, Parameterised, Ptr, StackArray, Tensor
from sapwood.lang.api.dtypes import complex_type, scalar_type
from sapwood.lang.enum_members import has_layout, spec_of_class
from sapwood.lang.errors import BadAnnotation, Loc
from sapwood.lang.errors.hints import annotation_hint
from sapwood.lang.immutable import immutable
from sapwood.lang.join import complex_spec, join
from sapwood.lang.values import Known, Spec, Value, describe


@immutable
class Declared:
    """One annotation. `kind` selects the rule in `fit`; `args` are dtypes, numbers, TypeVars or Declared."""

    kind: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return _show(self)

ANY = Declared("any")

NONE = Declared("none")


def argument_name(x: Any) -> str:
    if isinstance(x, Declared):
        return str(x)
    return getattr(x, "__name__", None) or str(x)


def _show(d: Declared) -> str:
    match d.kind:
        case "scalar":
            return {"i64": "int", "f64": "float"}.get(str(d.args[0]), str(d.args[0]))
        case "none":
            return "None"
        case "any":
            return "anything"
        case "typevar":
            return getattr(d.args[0], "__name__", None) or "Self"
        case "struct" | "protocol":
            return argument_name(d.args[0]) + (f"[{', '.join(map(argument_name, d.args[1:]))}]" if d.args[1:] else "")
        case "number" | "complex":
            return str(d.args[0])
        case "spec":
            return describe(d.args[0])
        case "function":
            if not d.args:
                return "a function"
            return f"Callable[[{', '.join(map(argument_name, d.args[0]))}], {argument_name(d.args[1])}]"
        case "const":
            return f"Const[{argument_name(d.args[0])}]"
        case "heap":
            return str(d.args[0])
        case "enum":
            return d.args[0].__name__
        case "row":
            return f"tuple[{d.args[0]}, ...]"
        case "optional":
            return f"{d.args[0]} | None"
    if d.kind == "native":
        inner = d.args[0]
        return f"{inner.kind.capitalize()}[{', '.join(map(str, inner.args))}]"
    if d.kind in ("list", "dict", "set", "frozenset", "deque", "Counter"):
        return f"{d.kind}[{', '.join(map(str, d.args))}]"
    names = {"simd": "SIMD", "tensor": "Tensor", "ptr": "Ptr", "stack": "StackArray", "tuple": "tuple"}
    return f"{names[d.kind]}[{', '.join(argument_name(a) for a in d.args)}]"


def declare(annotation: Any, name: str, loc: Loc | None) -> Declared:
    """An evaluated annotation as a Declared; raises BadAnnotation naming the parameter."""
    found = _declare(annotation, name, loc)
    if found is None:
        text = str(annotation) if typing.get_origin(annotation) else getattr(annotation, "__name__", None)
        raise BadAnnotation(loc, name=name, found=text or repr(annotation), hint=annotation_hint(annotation))
    return found


def _item(x: Any) -> Any:
    """A dtype argument of a generic: a scalar type, a TypeVar, or None."""
    if isinstance(x, TypeVar):
        return x
    if isinstance(x, type) and hasattr(x, "__sapwood_struct__"):
        return struct_type(x)
    return scalar_type(x) or complex_type(x)


def _declare(a: Any, name: str, loc: Loc | None) -> Declared | None:
    scalar = scalar_type(a)
    if scalar is not None:
        return Declared("scalar", (scalar,))
    number = complex_type(a)
    if number is not None:
        return Declared("complex", (number,))
    if a is None or a is type(None):
        return NONE
    if a is str:
        return Declared("heap", (ty.Str(),))
    if a is bytes or a is bytearray:
        return Declared("heap", (ty.Bytes() if a is bytes else ty.ByteArray(),))
    if a is object:
        return Declared("heap", (ty.Object(),))
    if a is memoryview:
        return Declared("heap", (ty.MemoryView(ty.U8),))  # of other items, too: see infer/fit.py and classify.py
    if isinstance(a, enum.EnumMeta):
        return Declared("enum", (a,)) if has_layout(a) else None
    if isinstance(a, TypeVar) or a is typing.Self:
        return Declared("typevar", (a,))
    if a is Any:
        return ANY
    if type(a).__name__ == "TypeAliasType":  # `type Pair = tuple[int, int]`, Python 3.12
        return _declare(a.__value__, name, loc)
    if typing.get_origin(a) in (typing.ClassVar, typing.Final, typing.Annotated):
        return _declare(typing.get_args(a)[0], name, loc)
    if isinstance(a, Parameterised):
        return _declare_generic(a, name, loc)
    origin = typing.get_origin(a)
    if origin is Counter:
        return Declared("Counter", tuple(declare(i, name, loc) for i in typing.get_args(a)))
    if origin in (list, dict, set, frozenset, deque):
        return Declared(origin.__name__, tuple(declare(i, name, loc) for i in typing.get_args(a)))
    if origin in (typing.Union, pytypes.UnionType):
        return _declare_optional(a, name, loc)
    if origin is tuple and typing.get_args(a)[1:] == (...,):
        return Declared("row", (declare(typing.get_args(a)[0], name, loc),))
    if origin is tuple:
        return Declared("tuple", tuple(declare(i, name, loc) for i in typing.get_args(a)))
    if a is Callable or origin is Callable or origin is pytypes.FunctionType:


        return declare_callable(a, name, loc)
    if typing.get_origin(a) is not None and isinstance(typing.get_origin(a), type) and issubclass(
        typing.get_origin(a), Callable  # type: ignore[arg-type]
    ):
        return Declared("function")
    if isinstance(a, type) and hasattr(a, "__sapwood_struct__"):
        return Declared("struct", (a,))
    if isinstance(origin, type) and hasattr(origin, "__sapwood_struct__"):
        return Declared("struct", (origin, *(declare_argument(i, name, loc) for i in typing.get_args(a))))
    if type(origin).__name__ == "TypeAliasType":
        return _declare(origin.__value__[typing.get_args(a)], name, loc)
    if isinstance(origin or a, type) and getattr(origin or a, "_is_protocol", False):
        return Declared("protocol", (origin or a,))
    if a in (tuple, Const, Tensor, SIMD, Ptr):
        return ANY if a in (tuple, Const) else None
    return None


def _declare_optional(a: Any, name: str, loc: Loc | None) -> Declared | None:
    kinds = [i for i in typing.get_args(a) if i is not type(None)]
    if len(kinds) != 1 or len(typing.get_args(a)) != 2:
        return None
    return Declared("optional", (declare(kinds[0], name, loc),))


def declare_argument(a: Any, name: str, loc: Loc | None) -> Declared:
    """An argument of a generic struct: a type, or a number."""
    return Declared("number", (a,)) if isinstance(a, int) else declare(a, name, loc)


def _declare_generic(a: Parameterised, name: str, loc: Loc | None) -> Declared | None:
    first = a.args[0]
    if getattr(a.origin, "__sapwood_native__", False):
        kind = {"List": list, "Dict": dict, "Set": set}[a.origin.__name__]
        return Declared("native", (declare(kind[a.args], name, loc),))
    if a.origin is Const:
        return Declared("const", (first,))
    if a.origin is SIMD or a.origin is Tensor:
        elem = _item(first)
        if elem is None or not isinstance(a.args[1], int | TypeVar):
            return None
        return Declared("simd" if a.origin is SIMD else "tensor", (elem, a.args[1]))
    inner = declare(first, name, loc)
    if a.origin is Ptr:
        return Declared("ptr", (inner,))
    if a.origin is StackArray:
        return Declared("stack", (inner, a.args[1]))
    return None

Bindings = dict[TypeVar, Value]


def spec_of_declared(d: Declared, bindings: Bindings | None = None) -> Spec | None:
    """The spec of values that are declared so; None if the annotation leaves something open."""
    match d.kind:
        case "scalar":
            return Spec("leaf", d.args[0])
        case "none":
            return Spec("known", Known(None))
        case "complex":
            return complex_spec(d.args[0].elem)
        case "heap":
            return Spec("leaf", ty.Ref(d.args[0]))
        case "native":
            return spec_of_declared(d.args[0], bindings)
        case "list" | "dict" | "set" | "frozenset" | "deque":
            parts = [spec_of_declared(i, bindings) for i in d.args]
            if any(p is None for p in parts):
                return None
            made = {"list": ty.List, "dict": ty.Dict, "set": ty.Set, "frozenset": partial(ty.Set, frozen=True)}
            made["deque"] = ty.Deque
            return Spec("leaf", ty.Ref(made[d.kind](*parts)))  # type: ignore[operator]
        case "row":
            elem = spec_of_declared(d.args[0], bindings)
            return None if elem is None else Spec("leaf", ty.Ref(ty.TupleOf(elem)))
        case "Counter":
            key = spec_of_declared(d.args[0], bindings)
            return None if key is None else Spec("leaf", ty.Ref(ty.Counter(key, Spec("leaf", ty.I64))))
        case "optional":
            inner = spec_of_declared(d.args[0], bindings)
            return None if inner is None else join(Spec("known", Known(None)), inner)
        case "tuple":
            items = [spec_of_declared(i, bindings) for i in d.args]
            if all(i is not None for i in items):
                return Spec("agg", ty.Tuple(len(items)), tuple(items))  # type: ignore[arg-type]
        case "spec":
            return d.args[0]
        case "enum":
            return spec_of_class(d.args[0])
        case "struct":
            return _spec_of_struct(d, bindings)
        case "typevar" if isinstance((bindings or {}).get(d.args[0]), Known):


            return spec_of_declared(declared_of(bindings[d.args[0]]))  # type: ignore[index]
        case "typevar" | "simd" | "ptr":
            found = concrete_type(d, bindings)
            return Spec("leaf", found) if isinstance(found, ty.Leaf) else None
    return None


def _spec_of_struct(d: Declared, bindings: Bindings | None) -> Spec | None:
    t = concrete_type(d, bindings)
    if isinstance(t, ty.Ref):
        return Spec("leaf", t)
    assert isinstance(t, ty.Struct)
    if t.cls.__sapwood_struct__.parameters and not t.args:  # type: ignore[attr-defined]
        return None
    if not t.frozen:
        return Spec("agg", t, (Spec("leaf", ty.Ptr(t, "local")),))
    items = [spec_of_declared(f) for _, f in fields_of(t)]
    return None if any(i is None for i in items) else Spec("agg", t, tuple(items))  # type: ignore[arg-type]


def struct_type(cls: type, arguments: tuple[Any, ...] = ()) -> ty.Struct:
    """The type of a struct class with type arguments (Declared); without any, a generic class is open."""
    return ty.Struct(cls, cls.__sapwood_struct__.frozen, tuple(arguments))  # type: ignore[attr-defined]


def concrete_type(declared: Declared, bindings: Bindings | None = None) -> ty.Type | None:
    """The internal type of a declared scalar, vector, pointer, struct or stack array; None for the rest."""

    def item(x: Any) -> Any:
        if isinstance(x, TypeVar):
            known = (bindings or {}).get(x)
            return known.value if isinstance(known, Known) else None
        return x

    match declared.kind:
        case "scalar" | "complex":
            return declared.args[0]
        case "typevar":
            found = item(declared.args[0])
            return found if isinstance(found, ty.Type) else scalar_type(found)
        case "simd":
            elem, lanes = item(declared.args[0]), item(declared.args[1])
            elem = elem if isinstance(elem, ty.Scalar) else scalar_type(elem)
            return ty.Simd(elem, lanes) if elem is not None and isinstance(lanes, int) else None
        case "ptr":
            inner = concrete_type(declared.args[0], bindings)
            return None if inner is None else ty.Ptr(inner)
        case "struct":


            known = {k: declared_of(v) for k, v in (bindings or {}).items()}
            t = struct_type(declared.args[0], tuple(fill_in(a, known) for a in declared.args[1:]))
            from sapwood.lang.memory_layout import is_heap, reference_type

            return reference_type(t) if is_heap(t) else t
        case "stack":
            inner = concrete_type(declared.args[0], bindings)
            size = item(declared.args[1])
            return None if inner is None else ty.StackArray(inner, size)
        case "tuple":
            return ty.Tuple(len(declared.args))
    return None


def declare_callable(a: Any, name: str, loc: Loc | None) -> Declared:
    """`Callable[[int, float], float]`; with `...` or without parameters anything that can be called."""
    args = typing.get_args(a)
    if len(args) != 2 or not isinstance(args[0], list):
        return Declared("function")
    return Declared("function", (tuple(declare(p, name, loc) for p in args[0]), declare(args[1], name, loc)))


def declared_of(bound: Value) -> Declared:
    """A binding as a declared type."""
    x = bound.value if isinstance(bound, Known) else None
    match x:
        case ty.Scalar():
            return Declared("scalar", (x,))
        case ty.Simd():
            return Declared("simd", (x.elem, x.lanes))
        case int():
            return Declared("number", (x,))
        case Spec():
            return declared_of_spec(x)
    return Declared("any")


def declared_of_spec(s: Spec) -> Declared:
    if s.kind == "leaf" and isinstance(s.data, ty.Ref) and isinstance(s.data.target, ty.HeapStruct):
        t = s.data.target.struct
        inner = Declared("struct", (t.cls, *t.args))
        return Declared("optional", (inner,)) if s.data.nullable else inner
    if s.kind == "leaf":
        return declared_of(Known(s.data)) if isinstance(s.data, ty.Scalar | ty.Simd) else Declared("spec", (s,))
    if s.kind == "agg":
        match s.data:
            case ty.Struct():
                return Declared("struct", (s.data.cls, *s.data.args))
            case ty.Tuple():
                return Declared("tuple", tuple(map(declared_of_spec, s.items)))
            case ty.Enum():
                return Declared("enum", (s.data.cls,))
            case ty.Complex():
                return Declared("complex", (s.data,))
            case ty.Tensor():
                return Declared("tensor", (s.data.elem, s.data.rank))
    if s.kind == "known" and s.data == Known(None):
        return Declared("none")
    return Declared("spec", (s,))


def fill_in(d: Declared, known: dict[Any, Declared]) -> Declared:
    """A declared type with type variables replaced."""
    if not known or not d.args:
        return d
    if d.kind == "typevar":
        return known.get(d.args[0], d)
    if d.kind in ("const", "function", "spec", "protocol"):
        return d
    return Declared(d.kind, tuple(_fill_argument(a, known) for a in d.args))


def _fill_argument(a: Any, known: dict[Any, Declared]) -> Any:
    if isinstance(a, Declared):
        return fill_in(a, known)
    if isinstance(a, TypeVar) and a in known:
        found = known[a]
        return found.args[0] if found.kind in ("scalar", "number") else a
    return a


def fields_of(t: ty.Struct) -> list[tuple[str, Declared]]:
    """(field, declared type), with the type arguments of a generic struct filled in."""
    info = t.cls.__sapwood_struct__  # type: ignore[attr-defined]
    known = dict(zip(info.parameters, t.args, strict=False))
    return [(name, fill_in(declare(a, name, None), known)) for name, a in info.annotations().items()]
