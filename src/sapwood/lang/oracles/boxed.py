"""Boxed values: what scalars and vectors of the language are in plain Python.

`f32(1.5) * 2` computes by the same promotion and reference rules as compiled code, so a function's body can
be run and debugged in CPython (`f.python(...)`) with the machine's meaning.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.api.operators import Operators
from sapwood.lang.types import elem_of


class Boxed(Operators):
    """A scalar or vector with its type; immutable."""

    __slots__ = ("type", "value")

    def __init__(self, type: ty.Scalar | ty.Simd, value: Any) -> None:
        if isinstance(value, Boxed):
            value = _convert(value, type)
        elif isinstance(type, ty.Simd) and not isinstance(value, tuple):
            value = (_from_python(type.elem, value),) * type.lanes
        elif isinstance(type, ty.Scalar):
            value = _from_python(type, value)
        self.type = type
        self.value = value

    @property
    def dtype(self) -> Any:
        from sapwood.lang.api.dtypes import dtype_of

        return dtype_of(elem_of(self.type))

    @property
    def lanes(self) -> int:
        return ty.lanes_of(self.type) or 1

    def __len__(self) -> int:
        if not isinstance(self.type, ty.Simd):
            raise TypeError(f"{self.type} has no len()")
        return self.type.lanes

    def __getitem__(self, i: Any) -> Any:
        if not isinstance(self.type, ty.Simd):
            raise TypeError(f"{self.type} cannot be indexed")
        return box(self.type.elem, self.value[operator.index(i)])

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        if isinstance(self.type, ty.Simd):
            raise TypeError("a SIMD vector is not a condition; use any(v) or all(v)")
        return bool(self.value)

    def __repr__(self) -> str:
        return f"{self.type}({self.value!r})"

    def __hash__(self) -> int:
        return hash((self.type, self.value))

    def cast(self, dtype: Any) -> Any:
        from sapwood.lang.api.dtypes import scalar_type

        elem = scalar_type(dtype)
        assert elem is not None
        target = ty.like(self.type, elem)
        return box(target, _convert(self, target))


def _from_python(scalar: ty.Scalar, x: Any) -> Any:
    from sapwood.lang.ops.convert import convert_value

    if isinstance(x, bool) and scalar.kind == "bool":
        return x
    source = ty.F64 if isinstance(x, float) else ty.I64
    return convert_value(source, scalar, x)


def _convert(x: Boxed, target: ty.Scalar | ty.Simd) -> Any:
    from sapwood.lang.ops.convert import convert_value

    source, dst = elem_of(x.type), elem_of(target)
    if isinstance(x.type, ty.Simd):
        return tuple(convert_value(source, dst, v) for v in x.value)
    one = convert_value(source, dst, x.value)
    return (one,) * target.lanes if isinstance(target, ty.Simd) else one


def box(type: ty.Leaf, value: Any) -> Any:
    """A value of the evaluator as a Python object; i64, f64 and bool are Python's own."""
    if isinstance(type, ty.Scalar) and type in (ty.I64, ty.F64, ty.BOOL):
        return value
    if isinstance(type, ty.Scalar):
        from sapwood.lang.api.dtypes import dtype_of

        out = dtype_of(type).__new__(dtype_of(type))
    else:
        out = Boxed.__new__(Boxed)
    object.__setattr__(out, "type", type)
    object.__setattr__(out, "value", value)
    return out


def unbox(x: Any) -> Any:
    """The abstract value of a Python object, with its leaves already computed."""
    return x


def evaluate(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Run a typing rule on boxed values: emit its SSA, evaluate it at once, box the result."""
    from sapwood.lang.oracles.evaluate import run_immediate

    return run_immediate(fn, args, kwargs or {})


def apply(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation of the table called from plain Python."""
    if op.type_rule is None or op.space == "kernel":
        raise TypeError(f"{op.name} can only be used in compiled code")
    bound = op.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return evaluate(op.type_rule, tuple(bound.arguments.values()))


def _binary(fn: Callable[..., Any], swap: bool = False) -> Callable[..., Any]:
    def method(self: Boxed, other: Any) -> Any:
        from sapwood.lang.ops.operators import binary

        if not isinstance(other, Boxed | int | float | complex):
            return NotImplemented
        pair = (other, self) if swap else (self, other)
        return evaluate(lambda b, x, y: binary(b, fn, x, y), pair)

    return method


def _unary(fn: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Boxed) -> Any:
        from sapwood.lang.ops.operators import unary

        return evaluate(lambda b, x: unary(b, fn, x), (self,))

    return method


def _abs(self: Boxed) -> Any:
    from sapwood.lang.ops.operators import magnitude

    return evaluate(magnitude, (self,))


def _method(name: str) -> Callable[..., Any]:
    def method(self: Boxed, *args: Any) -> Any:
        from sapwood.lang.ops.base import OPERATIONS

        return apply(OPERATIONS[name], (self, *args), {})

    return method


for _name, _fn in (
    ("add", operator.add), ("sub", operator.sub), ("mul", operator.mul), ("truediv", operator.truediv),
    ("floordiv", operator.floordiv), ("mod", operator.mod), ("pow", operator.pow),
    ("lshift", operator.lshift), ("rshift", operator.rshift), ("and", operator.and_), ("or", operator.or_),
    ("xor", operator.xor),
):  # fmt: skip
    setattr(Boxed, f"__{_name}__", _binary(_fn))
    setattr(Boxed, f"__r{_name}__", _binary(_fn, swap=True))
for _name, _fn in (
    ("lt", operator.lt), ("le", operator.le), ("eq", operator.eq), ("ne", operator.ne),
    ("gt", operator.gt), ("ge", operator.ge),
):  # fmt: skip
    setattr(Boxed, f"__{_name}__", _binary(_fn))
for _name, _fn in (("neg", operator.neg), ("pos", operator.pos), ("invert", operator.invert)):
    setattr(Boxed, f"__{_name}__", _unary(_fn))
Boxed.__abs__ = _abs  # type: ignore[attr-defined]
for _name in ("bitcast", "shuffle", "join", "reduce_add", "reduce_mul", "reduce_min", "reduce_max"):
    setattr(Boxed, _name, _method(_name))


def make_simd(parameters: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
    """`SIMD[f32, 4](...)` in plain Python."""
    from sapwood.lang.api.dtypes import scalar_type

    elem = scalar_type(parameters[0])
    if elem is None:
        raise TypeError(f"{parameters[0]!r} is not a dtype")
    vector = ty.Simd(elem, int(parameters[1]))
    if len(args) <= 1:
        return Boxed(vector, args[0] if args else 0)
    if len(args) != vector.lanes:
        raise TypeError(f"{vector} takes 1 or {vector.lanes} numbers, not {len(args)}")
    return box(vector, tuple(Boxed(elem, a).value for a in args))


def make_stack_array(parameters: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
    """`StackArray[f32, 4]()` in plain Python: a fixed-size list of boxed numbers."""
    return PythonStackArray(parameters[0], int(parameters[1]), args[0] if args else 0)


class PythonStackArray:
    """A StackArray in plain Python."""

    def __init__(self, dtype: Any, size: int, fill: Any) -> None:
        self.dtype = dtype
        self.items = [dtype(fill) for _ in range(size)]

    def __len__(self) -> int:
        return len(self.items)

    def _at(self, i: Any) -> int:
        n = operator.index(i)
        if not -len(self.items) <= n < len(self.items):
            raise IndexError(f"index {n} is out of bounds for axis 0 with size {len(self.items)}")
        return n

    def __getitem__(self, i: Any) -> Any:
        return self.items[self._at(i)]

    def __setitem__(self, i: Any, x: Any) -> None:
        self.items[self._at(i)] = self.dtype(x)
