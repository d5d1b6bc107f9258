"""Python objects: calls of CPython's C API. Only where the GIL is held; a set exception leaves by the error edge."""

from __future__ import annotations

import ctypes
import json
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import BOOL, F64, I64, Object, Ptr, Ref
from sapwood.lang.values import Known, Value, describe
from sapwood.runtime import python_api
from sapwood.runtime.error_layout import MADE

OBJECT = Ref(Object())

# -- calls of the C API -----------------------------------------------------------------------------


@operation(name="python_api", control=True, raises=True)
def python_api_call() -> None:
    """Call a function of CPython's C API (attribute `api`) with the operands.

    `failed` says what its result is when an exception is set: "null", "negative", "minus one" (which may be a value,
    too: the exception is asked for), "null or nothing" (null may mean that there is nothing), or None for functions
    that cannot fail. `steals`: positions of operands that it takes over. `borrowed`: its result is not ours.
    `last`: a C int that comes after the operands.
    """


def api(
    b: Any, function: str, args: tuple[Var, ...], result: Any = OBJECT, failed: str | None = "null", **attrs: Any
) -> Var:
    """Emit a call of the C API."""
    types = () if result is None else (result,)
    out = b.emit(python_api_call, args, types, {"api": function, "failed": failed, **attrs})
    return out[0] if out else None  # type: ignore[return-value]


_C_TYPES = {"i64": ctypes.c_int64, "u64": ctypes.c_uint64, "f64": ctypes.c_double, "bool": ctypes.c_int}


@python_api_call.reference
def _(ev, op, *values):
    types = [v.type for v in op.operands]
    f = getattr(ctypes.pythonapi, op.attrs["api"])
    f.argtypes = [ctypes.c_void_p if isinstance(t, Ref | Ptr) else _C_TYPES[str(t)] for t in types]
    args: list[Any] = [v.address if isinstance(t, Ref | Ptr) else v for v, t in zip(values, types, strict=True)]
    if op.attrs.get("last") is not None:
        f.argtypes = [*f.argtypes, ctypes.c_int]
        args.append(op.attrs["last"])
    result = op.results[0].type if op.results else None
    pointer = isinstance(result, Ref | Ptr)
    f.restype = ctypes.c_void_p if pointer else ctypes.c_int if result in (None, BOOL) else _C_TYPES[str(result)]
    out = f(*args)  # PyDLL raises what is set
    if result is None:
        return ()
    if result == BOOL:
        return (out != 0,)
    if not pointer:
        return (out,)
    found = Pointer(Block(out or 0, None), 0, I64)
    if op.attrs.get("borrowed"):
        ctypes.pythonapi.Py_IncRef(ctypes.c_void_p(found.address))
    return (found,)


@python_api_call.lowering
def _(e, op):
    result = op.results[0].type if op.results else None
    ret = "i32" if result in (None, BOOL) else e.type(result)
    args = [(e.type(v.type), e.name(v)) for v in op.operands]
    args = [("i32", e.value(f"zext i1 {x} to i32")) if t == "i1" else (t, x) for t, x in args]
    if op.attrs.get("last") is not None:
        args.append(("i32", str(op.attrs["last"])))
    out = e.call(op.attrs["api"], ret, args)
    match op.attrs["failed"]:
        case "null":
            fail_if_set(e, op, e.value(f"icmp eq ptr {out}, null"))
        case "negative":
            fail_if_set(e, op, e.value(f"icmp slt {ret} {out}, 0"))
        case "null or nothing":
            _fail_if_asked(e, op, e.value(f"icmp eq ptr {out}, null"))
        case "minus one":
            odd = f"fcmp oeq double {out}, -1.0" if ret == "double" else f"icmp eq {ret} {out}, -1"
            _fail_if_asked(e, op, e.value(odd))
    if result is None:
        return
    if op.attrs.get("borrowed"):
        e.call("Py_IncRef", "void", [("ptr", out)])
    e.names[op.result] = e.value(f"icmp ne i32 {out}, 0") if result == BOOL else out


def fail_if_set(e, op, failed: str) -> None:
    """If the i1 holds, a Python exception is set: it moves into the error record and leaves by the error edge."""
    e.fail_with_python_error_if(failed, op, _place(e, op))


def _fail_if_asked(e, op, suspicious: str) -> None:
    ask, good = e.label("ask"), e.label("ok")
    e.line(f"br i1 {suspicious}, label %{ask}, label %{good}, !prof !1")
    e.block(ask)
    error = e.call("PyErr_Occurred", "ptr", [])
    fail_if_set(e, op, e.value(f"icmp ne ptr {error}, null"))
    e.line(f"br label %{good}")
    e.block(good)


def take_error(e, op) -> None:
    """Leave with the exception that is set in Python."""
    e.fail_with_python_error(op, _place(e, op))


def _place(e, op) -> str:
    return e.text_constant(json.dumps([op.loc.file, op.loc.line, op.loc.function]))


@operation(control=True)
def arguments_made() -> None:
    """The arguments of the entry have become native values: what is raised from here on is no misfit."""


@arguments_made.reference
def _(ev, op):
    return ()


@arguments_made.lowering
def _(e, op):
    e.line(f"store i64 1, ptr {e.value(f'getelementptr i64, ptr %err, i64 {MADE}')}")


# -- objects that are known -------------------------------------------------------------------------


@operation(name="python_constant", control=True, raises=True)
def python_constant() -> None:
    """A Python object known at compile time: attribute `value`, made once, when it is first needed.

    Texts and numbers are made, everything else is found by its module and name.
    """


@python_constant.reference
def _(ev, op):
    value = op.attrs["value"]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
    return (Pointer(Block(id(value), None, value), 0, I64),)


@python_constant.lowering
def _(e, op):
    value = op.attrs["value"]
    if value is None or value is True or value is False:
        singleton = str(value).lower()
        e.declare(f"@sapwood_{singleton} = external global i8")
        e.call("Py_IncRef", "void", [("ptr", f"@sapwood_{singleton}")])
        e.names[op.result] = f"@sapwood_{singleton}"
        return
    found = _borrowed_constant(e, op, value)
    e.call("Py_IncRef", "void", [("ptr", found)])
    e.names[op.result] = found


def _borrowed_constant(e, op, value: Any) -> str:
    """A constant object, which the module keeps in a slot from its first use on."""
    text = python_api.constant_text(value)
    slot = e.module.data(f"ptr null ; {text!r}")
    make, have = e.label("make"), e.label("have")
    old = e.value(f"load ptr, ptr {slot}")
    before = e.current
    e.line(f"br i1 {e.value(f'icmp eq ptr {old}, null')}, label %{make}, label %{have}, !prof !1")
    e.block(make)
    new = e.call("sapwood_python_constant", "ptr", [("ptr", e.text_constant(text))])
    fail_if_set(e, op, e.value(f"icmp eq ptr {new}, null"))
    e.line(f"store ptr {new}, ptr {slot}")
    made = e.current
    e.line(f"br label %{have}")
    e.block(have)
    return e.value(f"phi ptr [ {old}, %{before} ], [ {new}, %{made} ]")


def constant_object(b: Any, value: Any) -> Var:
    """A compile-time value as a Python object."""
    try:
        python_api.constant_text(value)
    except python_api.NoConstant as reason:
        hint = "define it at the top of a module, or pass it as an argument"
        raise BadOperand(b.loc, function="object", detail=f"{describe(Known(value))} {reason}", hint=hint) from None
    return b.emit1(python_constant, (), OBJECT, value=value)


# -- native values as objects and back --------------------------------------------------------------


@operation(name="python_call", control=True, raises=True)
def python_call() -> None:
    """Call the first operand with the others; the attribute `names` are keywords of the last ones."""


@python_call.reference
def _(ev, op, *values):
    f, *args = (ctypes.cast(v.address, ctypes.py_object).value for v in values)
    names = op.attrs["names"]
    cut = len(args) - len(names)
    out = f(*args[:cut], **dict(zip(names, args[cut:], strict=True)))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(out))
    return (Pointer(Block(id(out), None, out), 0, I64),)


@python_call.lowering
def _(e, op):
    f, *args = op.operands
    buffer = e.alloca(8 * max(len(args), 1), 8)
    for i, a in enumerate(args):
        e.line(f"store ptr {e.name(a)}, ptr {e.value(f'getelementptr ptr, ptr {buffer}, i64 {i}')}")
    names = op.attrs["names"]
    keywords = _borrowed_constant(e, op, names) if names else "null"
    n = len(args) - len(names)
    out = e.call(
        "PyObject_Vectorcall", "ptr", [("ptr", e.name(f)), ("ptr", buffer), ("i64", str(n)), ("ptr", keywords)]
    )
    fail_if_set(e, op, e.value(f"icmp eq ptr {out}, null"))
    e.names[op.result] = out


@operation(name="has_type", control=True)
def has_type() -> None:
    """Whether a Python object is of a built-in type (attribute `type`, or a subclass when `exact` is false)."""


@has_type.reference
def _(ev, op, x):
    value = ctypes.cast(x.address, ctypes.py_object).value
    kind = python_api.TYPES[op.attrs["type"]]
    return (type(value) is kind if op.attrs["exact"] else isinstance(value, kind),)


@has_type.lowering
def _(e, op):
    name = op.attrs["type"]
    kind = e.value(f"load ptr, ptr {e.value(f'getelementptr i8, ptr {e.name(op.operands[0])}, i64 8')}")
    e.declare(f"@{name} = external global i8")
    same = e.value(f"icmp eq ptr {kind}, @{name}")
    if op.attrs["exact"]:
        e.names[op.result] = same
        return
    before = e.current
    ask, done = e.label("ask"), e.label("asked")
    e.line(f"br i1 {same}, label %{done}, label %{ask}")
    e.block(ask)
    sub = e.call("PyType_IsSubtype", "i32", [("ptr", kind), ("ptr", f"@{name}")])
    yes = e.value(f"icmp ne i32 {sub}, 0")
    e.line(f"br label %{done}")
    e.block(done)
    e.names[op.result] = e.value(f"phi i1 [ true, %{before} ], [ {yes}, %{ask} ]")


def is_of_type(b: Any, x: Var, name: str, exact: bool = True) -> Var:
    return b.emit(has_type, (x,), (BOOL,), {"type": name, "exact": exact})[0]


@operation(name="wrong_type", control=True, raises=True)
def wrong_type() -> None:
    """Raise TypeError: the operand is not what was `expected` (attribute)."""


@wrong_type.reference
def _(ev, op, x):
    found = type(ctypes.cast(x.address, ctypes.py_object).value).__name__
    raise TypeError(f"expected {op.attrs['expected']}, not {found}")


@wrong_type.lowering
def _(e, op):
    # PyErr_Format(PyExc_TypeError, "expected %s, not %s", expected, Py_TYPE(x)->tp_name)
    kind = e.value(f"load ptr, ptr {e.value(f'getelementptr i8, ptr {e.name(op.operands[0])}, i64 8')}")
    name = e.value(f"load ptr, ptr {e.value(f'getelementptr i8, ptr {kind}, i64 24')}")
    e.declare("declare ptr @PyErr_Format(ptr, ptr, ...)")
    e.declare("@sapwood_TypeError = external global i8")
    form, expected = e.text_constant("expected %s, not %s"), e.text_constant(op.attrs["expected"])
    e.value(
        f"call ptr (ptr, ptr, ...) @PyErr_Format(ptr @sapwood_TypeError, ptr {form}, ptr {expected}, ptr {name})"
    )
    take_error(e, op)
    e.block(e.label("never"))


@operation(name="python_long", control=True, raises=True)
def python_long() -> None:
    """An exact Python int as i64; OverflowError when it does not fit."""


@python_long.reference
def _(ev, op, x):
    value = ctypes.cast(x.address, ctypes.py_object).value
    if not -(2**63) <= value < 2**63:
        raise OverflowError("Python int too large to convert to C long")
    return (value,)


@python_long.lowering
def _(e, op):
    out = e.call("PyLong_AsLong", "i64", [("ptr", e.name(op.operands[0]))])
    _fail_if_asked(e, op, e.value(f"icmp eq i64 {out}, -1"))
    e.names[op.result] = out


def as_object(b: Any, value: Value) -> Var:
    """A native value as a new Python object (see infer/objects_border.py for what is more than a number)."""
    if isinstance(value, Known):
        return constant_object(b, value.value)
    assert isinstance(value, Var)
    t = value.type
    if t == BOOL:
        return api(b, "PyBool_FromLong", (b.convert(value, I64),))
    if getattr(t, "is_float", False):
        return api(b, "PyFloat_FromDouble", (b.convert(value, F64),))
    if getattr(t, "kind", "") == "uint":
        from sapwood.lang.types import U64

        return api(b, "PyLong_FromUnsignedLongLong", (b.convert(value, U64),))
    return api(b, "PyLong_FromLongLong", (b.convert(value, I64),))
