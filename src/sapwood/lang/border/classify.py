"""Which kind of argument a value from Python is. Each is classified once per specialisation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any, get_origin

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import Number, scalar_type
from sapwood.lang.bits import int_range
from sapwood.lang.border.arguments import (
    ComplexArg,
    ConstArg,
    Fail,
    HeapArg,
    NativeArg,
    ObjectArg,
    PointerArg,
    RecordArg,
    ScalarArg,
    StructArg,
    TensorArg,
    TupleArg,
    as_array,
)
from sapwood.lang.border.object_types import elem_of_object, object_misfit, spec_of_object, widens
from sapwood.lang.constants import constant_problem
from sapwood.lang.declared import Declared, concrete_type, fields_of, spec_of_declared, struct_type
from sapwood.lang.errors import BadArgument
from sapwood.lang.memory_layout import holds_references
from sapwood.lang.oracles.boxed import Boxed
from sapwood.lang.values import Known, Spec
from sapwood.runtime.array import Array
from sapwood.runtime.dtypes import DTYPES
from sapwood.runtime.dtypes import dtype as as_dtype


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
    from sapwood.lang.records import NoRecord, natural_alignment, record_of

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
    if holds_references(cls):
        return HeapArg(cls)
    fields = tuple(
        (n, classify(d, getattr(x, n), f"{name}.{n}", function, wrap)) for n, d in fields_of(struct_type(cls))
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
    if isinstance(x, Enum):
        spec = spec_of_object(x)
        if spec is not None and spec.kind == "agg":
            return ObjectArg(spec, True)
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
    if isinstance(x, str | list | dict | set | frozenset | deque):
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
