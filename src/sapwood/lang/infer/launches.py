"""Launches in host code: `k[grid, block](...)` and `k.launch(...)(...)`.

They are Python's own launches, made through CPython's C API: the same kernel is compiled when it is first launched, the
same devices are chosen, the same exceptions leave.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import dtype_of
from sapwood.lang.border.results import instance
from sapwood.lang.declared import Declared
from sapwood.lang.errors import LaunchInKernel, NotAKernel, WrongArgumentCount
from sapwood.lang.infer.border import box, get_attr, pack
from sapwood.lang.infer.classes.structs import get_field
from sapwood.lang.infer.objects import Method
from sapwood.lang.infer.python_objects import call_object, key_object
from sapwood.lang.ir.ssa import Var
from sapwood.lang.launch import given_tensor
from sapwood.lang.ops import memory, objects, raw
from sapwood.lang.ops.objects import OBJECT, api
from sapwood.lang.signatures import declared_parameters
from sapwood.lang.types import BOOL, F64, I64
from sapwood.lang.values import Agg, Known, Value, leaves_of, make_tuple

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


_method = cache(Method)  # the same object for the same, so that launches join where paths meet


def configured(w: Walker, kernel: Any, sizes: Value) -> Value:
    """`kernel[grid, block]`. Raises NotAKernel for other functions."""
    if not kernel.options.kernel:
        raise NotAKernel(w.b.loc, name=kernel.__name__)
    f = _kernel_object(w, kernel)
    return _launch(kernel, api(w.b, "PyObject_GetItem", (f, key_object(w, sizes))))


def attribute(kernel: Any, name: str) -> Value | None:
    """`kernel.launch`; None for other names."""
    return Agg(ty.BoundMethod(_method(name, _with_options)), (Known(kernel),)) if name == "launch" else None


def _with_options(w: Walker, kernel: Known, *args: Value, **options: Value) -> Value:
    f = get_attr(w, _kernel_object(w, kernel.value), "launch")
    launch = call_object(w, f, list(args), options)
    assert isinstance(launch, Var)
    return _launch(kernel.value, launch)


def _kernel_object(w: Walker, kernel: Any) -> Var:
    if w.interp.kernel is not None:
        raise LaunchInKernel(w.b.loc, name=kernel.__name__)
    w.interp.depend_on(kernel)
    return objects.constant_object(w.b, kernel)


def _launch(kernel: Any, launch: Var) -> Value:
    """A `Launch`, of which it is known what it launches."""
    return Agg(ty.BoundMethod(_method(kernel.__name__, _call)), (make_tuple([Known(kernel), launch]),))


def _call(w: Walker, launch: Agg, *args: Value, **kwargs: Value) -> Value:
    known, f = launch.items
    assert isinstance(known, Known) and isinstance(f, Var)
    kernel = known.value
    signature = kernel.state.signature
    try:
        signature.bind(*args, **kwargs)
    except TypeError as e:
        shown = f"{kernel.__name__}[grid, block]({', '.join(signature.parameters)})"
        raise WrongArgumentCount(w.b.loc, function=kernel.__name__, problem=str(e), signature=shown) from None
    declared = dict(zip(signature.parameters, declared_parameters(kernel), strict=True))
    by_place = [*declared.values(), *[None] * len(args)]
    operands = [_argument(w, v, d) for v, d in zip(args, by_place, strict=False)]
    operands += [_argument(w, v, declared.get(name)) for name, v in kwargs.items()]
    _called(w, f, *operands, names=tuple(kwargs))
    for v in (*args, *kwargs.values()):  # of a tensor only numbers were passed
        if not isinstance(v, Known):
            w.b.emit(raw.keep, tuple(leaves_of(v)))
    return Known(None)


def _argument(w: Walker, value: Value, declared: Declared | None = None) -> Var:
    """What a launch from Python would be given."""
    b = w.b
    match value:
        case Agg(type=ty.Tensor(elem=ty.Scalar() | ty.Complex() as elem) as t):
            pointer, *numbers = value.items
            assert isinstance(pointer, Var)
            address = objects.as_object(b, b.emit1(memory.address, (pointer,), I64, given=True))
            axes = [objects.as_object(b, n) for n in numbers]
            shape, strides = pack(w, axes[: t.rank]), pack(w, axes[t.rank :])
            dtype = objects.constant_object(b, elem.name)
            return _called(w, objects.constant_object(b, given_tensor), address, shape, dtype, strides)
        case Agg(type=ty.Struct(cls=cls)):
            fields = [get_field(w, value, name) for name in cls.__sapwood_struct__.fields]  # type: ignore[attr-defined]
            items = pack(w, [_argument(w, f) for f in fields if f is not None])
            return _called(w, objects.constant_object(b, instance), objects.constant_object(b, cls), items)
        case Agg(type=ty.Tuple()):
            return pack(w, [_argument(w, item) for item in value.items])
        case Var(type=ty.Scalar() as t) if t not in (I64, F64, BOOL):
            number = objects.as_object(b, value)
            if declared is not None and declared.kind == "scalar":
                return number
            return _called(w, objects.constant_object(b, dtype_of(t)), number)  # what takes any type gets this one
    return box(w, value)


def _called(w: Walker, f: Var, *args: Var, names: tuple[str, ...] = ()) -> Var:
    return w.b.emit(objects.python_call, (f, *args), (OBJECT,), {"names": names})[0]
