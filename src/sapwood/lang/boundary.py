"""The boundary between Python and compiled code: what each argument becomes, and how results come back.

Each Python argument is classified once per specialisation. Numbers and arrays pass as they are, so that the
emitted entry takes them directly; tuples and structs are flattened by the slow path into numbers and arrays.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, get_origin

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import Number, scalar_type
from sapwood.lang.boxed import Boxed
from sapwood.lang.errors import BadArgument
from sapwood.lang.heap_border import Reader, describe_target, holds_structs
from sapwood.lang.infer import layout
from sapwood.lang.infer.border import box, unbox
from sapwood.lang.infer.declared import Declared, spec_of_declared, struct_type
from sapwood.lang.infer.structs import make_struct
from sapwood.lang.ir.ssa import Var
from sapwood.lang.object_types import object_misfit, spec_of_object, widens
from sapwood.lang.ops import arith, memory
from sapwood.lang.ops.heap_struct import give_away
from sapwood.lang.ops.objects import OBJECT
from sapwood.lang.types import I64
from sapwood.lang.values import Agg, Known, Spec, Value
from sapwood.runtime.array import Array
from sapwood.runtime.dtypes import DTYPES
from sapwood.runtime.dtypes import dtype as as_dtype
from sapwood.runtime.entry import ConstParam, ObjectParam, ScalarParam, TensorParam


@dataclass(frozen=True)
class ScalarArg:
    """A number. `exact`: its type decided what was compiled, so only that type may reach the entry."""

    scalar: ty.Scalar
    exact: bool = False

    @property
    def comparable(self) -> bool:
        """Whether an entry can tell that an argument fits."""
        return not self.exact or self.scalar in (ty.I64, ty.F64, ty.BOOL)

    @property
    def carrier(self) -> ty.Scalar:
        """What crosses the boundary: 16-bit floats travel as f64, which holds them all."""
        return ty.F64 if self.scalar.narrow else self.scalar

    def params(self, name: str) -> list[Any]:
        return [ScalarParam(name, DTYPES[self.carrier.name], self.exact)]

    def leaves(self) -> list[ty.Leaf]:
        return [self.carrier]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        return w.b.convert(next(leaves), self.scalar)

    def flatten(self, x: Any) -> list[Any]:
        """Exactly the type that an entry tests for; ints beyond i64 become floats here."""
        if isinstance(x, Boxed):
            return [x.value]
        if self.scalar.kind == "bool":
            return [x]
        return [float(x) if self.scalar.is_float else int(operator.index(x))]


@dataclass(frozen=True)
class ComplexArg:
    """A complex number: two leaves. `exact`: only a complex may reach the entry."""

    type: ty.Complex
    exact: bool = False

    comparable = True

    def params(self, name: str) -> list[Any]:
        return [ScalarParam(name, DTYPES[self.type.name], self.exact)]

    def leaves(self) -> list[ty.Leaf]:
        return [self.type.elem, self.type.elem]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        return Agg(self.type, (next(leaves), next(leaves)))

    def flatten(self, x: Any) -> list[Any]:
        return [complex(x)]


@dataclass(frozen=True)
class PointerArg:
    """A Ptr parameter: from Python an address, as an int."""

    elem: ty.Type

    def params(self, name: str) -> list[Any]:
        return [ScalarParam(name, DTYPES["i64"])]

    def leaves(self) -> list[ty.Leaf]:
        return [I64]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        return w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(self.elem))

    def flatten(self, x: Any) -> list[Any]:
        return [int(x)]


@dataclass(frozen=True)
class TensorArg:
    elem: ty.Scalar
    rank: int
    layout: ty.Layout

    def params(self, name: str) -> list[Any]:
        return [TensorParam(name, DTYPES[self.elem.name], self.rank, self.layout, False)]

    def leaves(self) -> list[ty.Leaf]:
        return [ty.Ptr(self.elem), *[I64] * (2 * self.rank)]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        b = w.b
        pointer = next(leaves)
        shape = [next(leaves) for _ in range(self.rank)]
        given = [next(leaves) for _ in range(self.rank)]
        strides: list[Value] = list(given)
        if self.rank and self.layout != "strided":
            strides[-1] = Known(1)
        if self.layout == "contiguous":
            size: Value = Known(1)
            for axis in reversed(range(self.rank - 1)):
                dim = shape[axis + 1]
                size = dim if axis == self.rank - 2 else b.emit1(arith.mul, (dim, size), I64)
                strides[axis] = size
        return Agg(ty.Tensor(self.elem, self.rank, self.layout), (pointer, *shape, *strides))

    def flatten(self, x: Any) -> list[Any]:
        return [as_array(x, TypeError)]  # type: ignore[arg-type,return-value]


@dataclass(frozen=True)
class ConstArg:
    known: Known

    @property
    def comparable(self) -> bool:
        """Whether an entry can tell that an argument is this value; else only the slow path can."""
        v = self.known.value
        return v is None or isinstance(v, int) and -(2**63) <= v < 2**63

    def params(self, name: str) -> list[Any]:
        return [ConstParam(name, self.known.value)] if self.comparable else []

    def leaves(self) -> list[ty.Leaf]:
        return []

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        return self.known

    def flatten(self, x: Any) -> list[Any]:
        return [self.known.value] if self.comparable else []


@dataclass(frozen=True)
class TupleArg:
    items: tuple[Any, ...]

    def params(self, name: str) -> list[Any]:
        return [p for i, a in enumerate(self.items) for p in a.params(f"{name}[{i}]")]

    def leaves(self) -> list[ty.Leaf]:
        return [leaf for a in self.items for leaf in a.leaves()]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        return Agg(ty.Tuple(len(self.items)), tuple(a.value(w, leaves) for a in self.items))

    def flatten(self, x: Any) -> list[Any]:
        return [f for a, v in zip(self.items, x, strict=True) for f in a.flatten(v)]

    @property
    def mutable(self) -> bool:
        return any(getattr(a, "mutable", False) for a in self.items)


@dataclass(frozen=True)
class StructArg:
    cls: type
    fields: tuple[tuple[str, Any], ...]

    def params(self, name: str) -> list[Any]:
        return [p for n, a in self.fields for p in a.params(f"{name}.{n}")]

    def leaves(self) -> list[ty.Leaf]:
        return [leaf for _, a in self.fields for leaf in a.leaves()]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        return make_struct(w, self.cls, [a.value(w, leaves) for _, a in self.fields])

    def flatten(self, x: Any) -> list[Any]:
        return [f for n, a in self.fields for f in a.flatten(getattr(x, n))]

    @property
    def mutable(self) -> bool:
        """Whether a call may change it: the struct itself, or one inside it."""
        own = not self.cls.__sapwood_struct__.frozen  # type: ignore[attr-defined]
        return own or any(getattr(a, "mutable", False) for _, a in self.fields)


@dataclass(frozen=True)
class ObjectArg:
    """A value that compiled code makes of the Python object: containers, text, optional values, any object."""

    spec: Spec
    exact: bool = False  # its type decided what was compiled: an int is no float
    comparable: bool = True  # what does not fit is found out while it is made, and goes to the next entry

    def params(self, name: str) -> list[Any]:
        return [ObjectParam(name)]

    def leaves(self) -> list[ty.Leaf]:
        return [OBJECT]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        w.interp.exact = self.exact
        return unbox(w, next(leaves), self.spec)

    def flatten(self, x: Any) -> list[Any]:
        return [x]


@dataclass(frozen=True)
class HeapArg:
    """An object of a struct class that lies on the heap: its whole graph is copied in, and written back."""

    cls: type
    mutable = True

    def params(self, name: str) -> list[Any]:
        return [ScalarParam(name, DTYPES["i64"])]

    def leaves(self) -> list[ty.Leaf]:
        return [I64]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        from sapwood.lang.infer.heap_structs import is_heap
        from sapwood.lang.ops.heap import object_at

        t = struct_type(self.cls)
        if not is_heap(t):
            from sapwood.lang.errors_generic import HostStruct

            raise HostStruct(w.b.loc, type=t)
        target = ty.HeapStruct(t)
        w.interp.heap_table(target)
        return w.b.apply(object_at, w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(I64)), Known(target))

    def flatten(self, x: Any) -> list[Any]:
        raise TypeError("objects on the heap cannot be inside a tuple or a frozen struct that is an argument")


@dataclass(frozen=True)
class RecordArg:
    """An array of a structured dtype: the address, sizes and strides in records."""

    record: ty.Record
    rank: int
    layout: ty.Layout

    def params(self, name: str) -> list[Any]:
        word = ScalarParam(name, DTYPES["i64"])
        return [AddressParam(name, DTYPES["i64"]), *[word] * (2 * self.rank)]

    def leaves(self) -> list[ty.Leaf]:
        return [I64] * (1 + 2 * self.rank)

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        pointer = w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(self.record))
        items: list[Value] = [next(leaves) for _ in range(2 * self.rank)]
        if self.rank and self.layout != "strided":
            items[-1] = Known(1)
        return Agg(ty.Tensor(self.record, self.rank, self.layout), (pointer, *items))  # type: ignore[arg-type]

    def flatten(self, x: Any) -> list[Any]:
        data, _ = x.__array_interface__["data"]
        return [data, *x.shape, *(s // self.record.size for s in x.strides)]


@dataclass(frozen=True)
class AddressParam(ScalarParam):
    """The address of records."""

    writable: bool = False


@dataclass(frozen=True)
class NativeArg:
    """A sapwood.List, Dict or Set: the object itself, by its address."""

    spec: Spec

    def params(self, name: str) -> list[Any]:
        return [ScalarParam(name, DTYPES["i64"])]

    def leaves(self) -> list[ty.Leaf]:
        return [I64]

    def value(self, w: Any, leaves: Iterator[Var]) -> Value:
        from sapwood.lang.ops.heap import shared_object_at

        pointer = w.b.emit1(memory.pointer_at, (next(leaves),), ty.Ptr(I64))
        return w.b.apply(shared_object_at, pointer, Known(self.spec.data.target))

    def flatten(self, x: Any) -> list[Any]:
        return [x.address]


SIMPLE = ScalarArg | ComplexArg | TensorArg | PointerArg
Fail = Callable[[str], BadArgument]


def classify(declared: Declared, x: Any, name: str, function: str, wrap: Callable[[Any], Any]) -> Any:
    """What the argument `x` becomes for a parameter; raises BadArgument.

    `wrap` makes a compiled function of a Python one (for parameters that are functions).
    """

    def fail(hint: str = "") -> BadArgument:
        return BadArgument(
            None, function=function, name=name, expected=declared, found=_describe(x), hint=hint
        )

    match declared.kind:
        case "scalar":
            return _scalar(declared.args[0], x, fail)
        case "complex":
            return _complex(declared.args[0], x, fail)
        case "tensor":
            return _tensor(declared, x, fail)
        case "const":
            kind = declared.args[0]
            if kind is float and isinstance(x, int) and not isinstance(x, bool):
                x = float(x)
            kind = object if kind is Any else get_origin(kind) or kind
            if isinstance(kind, type) and kind is not object and not isinstance(x, kind) and scalar_type(x) is None:
                raise fail()
            from sapwood.lang.infer.comptime import constant_problem

            problem = constant_problem(x)
            if problem is not None:
                raise fail(problem)
            return ConstArg(Known(wrap(x)))
        case "function":
            if not callable(x):
                raise fail("pass an @fn function or a lambda")
            return ConstArg(Known(wrap(x)))
        case "none":
            if x is not None:
                raise fail()
            return ConstArg(Known(None))
        case "typevar" | "any" | "protocol" | "spec":
            return _any(x, declared, name, function, wrap, fail)
        case "tuple":
            if not isinstance(x, tuple) or len(x) != len(declared.args):
                raise fail(f"it must have {len(declared.args)} items")
            parts = enumerate(zip(declared.args, x, strict=True))
            return TupleArg(tuple(classify(d, v, f"{name}[{i}]", function, wrap) for i, (d, v) in parts))
        case "struct":
            cls = declared.args[0]
            if not isinstance(x, cls) or not hasattr(type(x), "__sapwood_struct__"):
                raise fail()
            return _struct(type(x), x, name, function, wrap)
        case "ptr":
            if isinstance(x, int) and not isinstance(x, bool):
                if not -(2**63) <= x < 2**63:
                    raise OverflowError(f"{function}(): {x} is not an address")
                from sapwood.lang.infer.declared import concrete_type

                elem = concrete_type(declared.args[0])
                if elem is not None:
                    return PointerArg(elem)
            raise fail("pass an address as an int, or take a Tensor")
    spec = spec_of_declared(declared)
    if declared.kind == "native":
        if getattr(type(x), "__sapwood_native__", False) and x.spec == spec:
            return NativeArg(x.spec)
        raise fail(f"{declared}(values) makes one, which both sides share" if spec is not None else "")
    if spec is not None:
        if getattr(type(x), "__sapwood_native__", False) and x.spec == spec:
            return NativeArg(x.spec)
        if declared.kind == "heap" and isinstance(declared.args[0], ty.MemoryView):
            spec = _view_spec(x) or spec
        misfit = object_misfit(spec, x)
        if misfit is None:
            return ObjectArg(spec)
        raise fail(misfit)
    raise fail("this type exists in compiled code only")


def _view_spec(x: Any) -> Spec | None:
    """The spec of a memoryview of x; None when there is none."""
    from sapwood.lang.infer.memory_views import elem_of_object

    elem = elem_of_object(x)
    return None if isinstance(elem, str) else Spec("leaf", ty.Ref(ty.MemoryView(elem)))


def _describe(x: Any) -> str:
    if _is_array(x):
        dtype = _dtype_text(x)
        return f"{'an' if dtype in DTYPES and dtype[0] in 'if' else 'a'} {dtype} array of rank {x.ndim}"
    text = type(x).__name__
    return f"{text} {x!r}" if isinstance(x, int | float | str) and len(repr(x)) < 40 else text


def _dtype_text(x: Any) -> str:
    """The name of an array's dtype here, or its own when there is none."""
    try:
        return as_dtype(x.dtype).name
    except TypeError:
        return str(x.dtype)


def _is_array(x: Any) -> bool:
    return isinstance(x, Array) or (hasattr(x, "dtype") and hasattr(x, "ndim") and hasattr(x, "shape"))


def _scalar(scalar: ty.Scalar, x: Any, fail: Fail) -> ScalarArg:
    if isinstance(x, Boxed):
        if x.type != scalar:
            raise fail(f"convert it: {scalar}(x)")
        return ScalarArg(scalar)
    if scalar.kind == "bool":
        if isinstance(x, bool):
            return ScalarArg(scalar)
        raise fail("pass True or False")
    if scalar.is_float:
        if isinstance(x, int) and not isinstance(x, bool):
            float(x)  # raises OverflowError
            return ScalarArg(scalar)
        if isinstance(x, float):
            return ScalarArg(scalar)
        if not isinstance(x, bool) and hasattr(type(x), "__float__") and not _is_array(x):
            return ScalarArg(scalar)
        if _is_array(x) and x.ndim == 0:
            return ScalarArg(scalar)
        raise fail("pass a number")
    if isinstance(x, bool) or not hasattr(type(x), "__index__") or _is_array(x) and x.ndim:
        raise fail("write int(x) to convert on purpose" if isinstance(x, float | bool | str) else "pass an int")
    from sapwood.lang.ops.numeric import int_range

    low, high = int_range(scalar)
    if not low <= int(x) <= high:
        raise OverflowError(f"{int(x)} does not fit into {scalar} ({low} to {high})")
    return ScalarArg(scalar)


def _complex(kind: ty.Complex, x: Any, fail: Fail) -> ComplexArg:
    if isinstance(x, Boxed):
        x = x.value if isinstance(x.type, ty.Scalar) else complex(x)  # type: ignore[call-overload]
    number = isinstance(x, int | float | complex) or hasattr(type(x), "__complex__") or hasattr(type(x), "__float__")
    if isinstance(x, bool | str) or not number or _is_array(x) and x.ndim:
        raise fail("pass a number")
    complex(x)  # raises OverflowError
    return ComplexArg(kind)


def layout_of(x: Array) -> ty.Layout:
    """The most special layout that an array has."""
    if x.ndim == 0:
        return "contiguous"
    expected = 1
    dense = True
    for size, stride in zip(reversed(x.shape), reversed(x.strides), strict=True):
        if size != 1 and stride != expected:
            dense = False
            break
        expected *= size
    if dense or 0 in x.shape:
        return "contiguous"
    return "inner" if x.strides[-1] == 1 else "strided"


def as_array(x: Any, fail: Fail) -> Array:
    if isinstance(x, Array):
        return x
    try:
        if hasattr(x, "__dlpack__") and not hasattr(x, "__array_interface__"):
            return Array.from_dlpack(x)
        return Array.from_buffer(x)
    except (TypeError, ValueError, BufferError) as e:
        raise fail(str(e)) from None


def _tensor(declared: Declared, x: Any, fail: Fail) -> TensorArg | RecordArg:
    elem, rank = declared.args
    if isinstance(elem, ty.Struct):
        return _records(elem.cls, rank, x, fail)
    if not _is_array(x) and not isinstance(x, memoryview | bytearray | bytes) and not hasattr(x, "__dlpack__"):
        try:
            memoryview(x)
        except TypeError:
            made = " made of it: np.array(x)" if isinstance(x, list | tuple) else " or a sapwood.Array"
            raise fail(f"pass a NumPy array{made}") from None
    array = as_array(x, fail)
    found = ty.ELEMENTS[array.dtype.name]
    assert found is not None
    if isinstance(elem, ty.Scalar | ty.Complex) and found != elem:
        numpy = DTYPES[elem.name].numpy
        raise fail(f"convert it: x.astype(np.{numpy})" if numpy else f"make it with Array.empty(shape, {elem})")
    if isinstance(rank, int) and array.ndim != rank:
        axes = "1 axis" if rank == 1 else f"{rank} axes"
        raise fail(f"pass an array with {axes}, or declare Tensor[{found}, {array.ndim}]")
    return TensorArg(found, array.ndim, layout_of(array))


def _records(cls: type, rank: Any, x: Any, fail: Fail) -> RecordArg:
    from sapwood.lang.infer.records import natural_alignment
    from sapwood.lang.records import NoRecord, record_of

    if not hasattr(x, "__array_interface__") or not hasattr(x.dtype, "names"):
        raise fail(f"pass a NumPy array with the dtype numpy_dtype({cls.__name__})")
    if isinstance(rank, int) and x.ndim != rank:
        raise fail(f"pass an array with {'1 axis' if rank == 1 else f'{rank} axes'}")
    try:
        record = record_of(cls, x.dtype)
    except NoRecord as e:
        raise fail(f"{e}; numpy_dtype({cls.__name__}) is a dtype that fits") from None
    if x.__array_interface__["data"][0] % max(natural_alignment(record), 1):
        raise fail("its memory is misaligned; copy it")
    if any(s % record.size for s in x.strides):
        raise fail("its strides are no multiples of the size of a record; copy it")
    dense = all(s == record.size for s, n in zip(x.strides[-1:], x.shape[-1:], strict=True) if n > 1)
    return RecordArg(record, x.ndim, "inner" if dense else "strided")


def _struct(cls: type, x: Any, name: str, function: str, wrap: Callable[[Any], Any]) -> StructArg | HeapArg:
    from sapwood.lang.infer.heap_structs import holds_references

    if holds_references(cls):
        return HeapArg(cls)
    fields = tuple(
        (n, classify(d, getattr(x, n), f"{name}.{n}", function, wrap)) for n, d in layout.fields_of(struct_type(cls))
    )
    return StructArg(cls, fields)


def _any(
    x: Any, declared: Declared, name: str, function: str, wrap: Callable[[Any], Any], fail: Fail
) -> Any:
    if isinstance(x, complex):
        return ComplexArg(ty.COMPLEX, exact=True)
    if isinstance(x, Boxed):
        if isinstance(x.type, ty.Scalar):
            return ScalarArg(x.type, exact=True)
        raise fail("vectors exist in compiled code only")
    if isinstance(x, bool):
        return ScalarArg(ty.BOOL)
    if isinstance(x, int):
        return replace(_scalar(ty.I64, x, fail), exact=True)
    if isinstance(x, float):
        return ScalarArg(ty.F64, exact=True)
    if x is None:
        return ConstArg(Known(x))
    if getattr(type(x), "__sapwood_native__", False):
        return NativeArg(x.spec)
    if isinstance(x, str | list | dict | set | frozenset):
        spec = spec_of_object(x)
        if spec is None or object_misfit(spec, x) is not None:
            raise BadArgument(
                None, function=function, name=name, expected=f"a {type(x).__name__} of items of one type",
                found=_describe(x), hint="convert the items, or annotate the parameter, for example list[int | None]",
            )  # fmt: skip
        exact = not widens(spec, x)  # else only the slow path can tell that an argument is of this kind
        return ObjectArg(spec, exact, exact)
    if isinstance(x, memoryview):
        spec = _view_spec(x)
        if spec is not None:
            return ObjectArg(spec, True)
    if hasattr(type(x), "__sapwood_struct__"):
        return _struct(type(x), x, name, function, wrap)
    if isinstance(x, tuple):
        parts = enumerate(x)
        return TupleArg(tuple(_any(v, declared, f"{name}[{i}]", function, wrap, fail) for i, v in parts))
    if isinstance(x, type) and issubclass(x, Number) or callable(x):
        return ConstArg(Known(x if isinstance(x, type) else wrap(x)))
    if _is_array(x) and x.ndim == 0 and not isinstance(x, Array):
        return _any(x.item(), declared, name, function, wrap, fail)
    try:
        return _tensor(Declared("tensor", (None, None)), x, fail)
    except BadArgument as e:
        if declared.kind == "any":
            e.fields["expected"] = "a number, a tuple, a @struct, an array or a function"
        raise


# -- results -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResultShape:
    """How flat results become a Python value; `simple` when the entry makes it by itself."""

    kind: str  # "leaf" | "const" | "tuple" | "struct" | "tensor"
    data: Any = None
    items: tuple[ResultShape, ...] = ()

    @property
    def simple(self) -> bool:
        if self.kind == "tuple":
            return all(i.simple for i in self.items)
        return self.kind in ("leaf", "complex", "object") or self.kind == "const" and self.data is None

    def entry_result(self) -> Any:
        if self.kind in ("leaf", "complex"):
            return DTYPES[self.data]
        if self.kind == "object":
            return "object"
        if self.kind == "tuple":
            return tuple(i.entry_result() for i in self.items)
        return None

    def build(self, flat: Iterator[Any], owners: tuple[Any, ...], reader: Reader) -> Any:
        match self.kind:
            case "heap":
                return reader.read(self.data, next(flat))
            case "native":
                from sapwood.lang.native import adopt

                return adopt(self.data, next(flat))
            case "leaf" | "object":
                return next(flat)
            case "complex":
                return complex(next(flat), next(flat))
            case "const":
                return self.data
            case "tuple":
                return tuple(i.build(flat, owners, reader) for i in self.items)
            case "struct":
                return instance(self.data, [i.build(flat, owners, reader) for i in self.items])
        dtype, rank = self.data
        address = next(flat)
        shape = tuple(next(flat) for _ in range(rank))
        strides = tuple(next(flat) for _ in range(rank))
        return Array.from_address(address, shape, dtype, strides, owner=owners)


def instance(cls: type, values: list[Any]) -> Any:
    """An object of a struct class with these fields; `__init__` and `__post_init__` have run in compiled code."""
    out = object.__new__(cls)
    for name, v in zip(cls.__sapwood_struct__.fields, values, strict=True):  # type: ignore[attr-defined]
        object.__setattr__(out, name, v)
    return out


def write_back(argument: Any, old: Any, new: Any) -> None:
    """Give the fields of mutable structs in an argument the values that a call left in them."""
    match argument:
        case TupleArg(items=items):
            for a, x, y in zip(items, old, new, strict=True):
                write_back(a, x, y)
        case StructArg():
            own = not argument.cls.__sapwood_struct__.frozen  # type: ignore[attr-defined]
            for name, a in argument.fields:
                if isinstance(a, StructArg | TupleArg) and a.mutable:
                    write_back(a, getattr(old, name), getattr(new, name))
                elif own:
                    object.__setattr__(old, name, getattr(new, name))


def restore(
    shape: ResultShape,
    arguments: list[Any],
    mutated: tuple[int, ...],
    flat: Iterator[Any],
    owners: tuple[Any, ...],
    values: list[Any],
    reader: Reader | None = None,
) -> Any:
    """The Python result of flat results; the fields of mutable structs among the arguments are written back.

    `reader` knows which objects on the heap came from which Python objects, and gives each back as itself.
    """
    reader = Reader() if reader is None else reader
    try:
        if not mutated:
            return shape.build(flat, owners, reader)
        first, *rest = shape.items
        out = first.build(flat, owners, reader)
        for i, fields in zip(mutated, rest, strict=True):
            new = fields.build(flat, owners, reader)
            write_back(arguments[i], values[i], new)
        return out
    finally:
        reader.close()


def result_shape(b: Any, value: Any) -> tuple[ResultShape, list[Var]]:
    """The shape of a result and its leaves; tensors and structs are opened up."""
    from sapwood.lang.infer.characters import is_character

    value = b.materialize(value) if is_character(value) else value
    match value:
        case Var(type=ty.Ref(target=target)) if holds_structs(target):
            return ResultShape("heap", describe_target(target)), [b.apply(give_away, value)]
        case Var(type=ty.Ref()) | Agg(type=ty.Optional()):
            return ResultShape("object"), [box(b.interpreter.frames[-1], value)]
        case Var(type=ty.Scalar() as t):
            if t.narrow:
                value = b.convert(value, ty.F32)
            return ResultShape("leaf", value.type.name), [value]
        case Known(value=bool() | int() | float() as v):
            leaf = b.materialize(Known(v))
            return ResultShape("leaf", leaf.type.name), [leaf]
        case Known(value=complex() as v):
            return ResultShape("complex", "c128"), [b.const(v.real, ty.F64), b.const(v.imag, ty.F64)]
        case Agg(type=ty.Complex() as t):
            return ResultShape("complex", t.name), list(value.items)  # type: ignore[arg-type]
        case Known(value=tuple() as v):
            return _many(b, "tuple", None, tuple(Known(i) for i in v))
        case Known(value=v):
            return ResultShape("const", v), []
        case Agg(type=ty.Tuple()):
            return _many(b, "tuple", None, value.items)
        case Agg(type=ty.Struct(cls=cls, frozen=True)):
            return _many(b, "struct", cls, value.items)
        case Agg(type=ty.Struct() as t):
            pointer = value.items[0]
            assert isinstance(pointer, Var)
            fields = [
                layout.read(b, layout.at_offset(b, pointer, at, f), f) for _, f, at in layout.struct_layout(t)
            ]
            return _many(b, "struct", t.cls, tuple(fields))
        case Agg(type=ty.Tensor() as t):
            pointer = value.items[0]
            leaves = [b.emit1(memory.address, (pointer,), I64)]
            leaves += [b.materialize(v) for v in value.items[1:]]
            return ResultShape("tensor", (t.elem.name, t.rank)), leaves
    from sapwood.lang.errors import BadConversion
    from sapwood.lang.values import describe

    hint = "return numbers, tuples, structs or tensors"
    raise BadConversion(b.loc, found=describe(value), expected="a Python object", hint=hint)


def field_shape(b: Any, argument: Any, value: Any) -> tuple[ResultShape, list[Var]]:
    """What is written back of an argument: the fields of a struct, also of one that went to the heap on its way."""
    if isinstance(argument, StructArg) and isinstance(value, Var):
        from sapwood.lang.infer.heap_structs import read_field

        walker = b.interpreter.frames[-1] if b.interpreter.frames else None
        values = tuple(read_field(walker, value, n) for n, _ in argument.fields)
        return _many(b, "struct", argument.cls, values)  # type: ignore[arg-type]
    return result_shape(b, value)


def _many(b: Any, kind: str, data: Any, items: tuple[Value, ...]) -> tuple[ResultShape, list[Var]]:
    pairs = [result_shape(b, i) for i in items]
    return ResultShape(kind, data, tuple(s for s, _ in pairs)), [v for _, leaves in pairs for v in leaves]


