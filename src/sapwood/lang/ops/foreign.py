"""Operations on C functions: calls of external ones, C's view of a compiled function, errno."""

from __future__ import annotations

from typing import Any

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import I32, I64, Ptr


@operation(space="host")
def call_external() -> Any:
    """Call the C function of attribute `external`; operands and result are its leaves."""


@call_external.reference
def _(op, *values):
    external = op.attrs["external"]
    result = external.call_with(tuple(v.address if isinstance(v, Pointer) else v for v in values))
    if isinstance(external.result, Ptr):
        return Pointer(Block(result or 0, None), 0, external.result.elem)
    return result


@call_external.lowering
def _(e, op, *values):
    external = op.attrs["external"]
    result = "void" if external.result is None else _c_type(e, external.result)
    kinds = [_c_type(e, v.type) for v in op.operands]
    name = f'@"{external.link_name}"'
    e.declare(f"declare {result} {name}({', '.join(kinds)})")
    text = f"call {result} {name}({', '.join(f'{t} {x}' for t, x in zip(kinds, values, strict=True))})"
    if external.result is None:
        e.line(text)
        return ()
    return e.value(text)


def _c_type(e, leaf: Any) -> str:
    """A type as the C calling convention wants it: narrow ints are extended."""
    bits = getattr(leaf, "bits", 64)
    if getattr(leaf, "kind", "") == "bool":
        return "i1 zeroext"
    if getattr(leaf, "is_int", False) and bits < 32:
        return f"i{bits} {'signext' if leaf.signed else 'zeroext'}"
    return e.type(leaf)


@operation(space="host")
def callback_address() -> Any:
    """The address of a C function that calls the function of attribute `function`, as an int."""


@callback_address.reference
def _(op):
    from sapwood.lang.oracles.evaluate import Evaluator

    function, kinds = op.attrs["function"], op.attrs["callback"].parameters

    def call(*values: Any) -> Any:
        pairs = zip(values, kinds, strict=True)
        boxed = (Pointer(Block(v or 0, None), 0, k.elem) if isinstance(k, Ptr) else v for v, k in pairs)
        out = Evaluator().function(function, tuple(boxed))
        return out[0] if out else None

    return call


@callback_address.lowering
def _(e, op):
    callee, callback = op.attrs["function"], op.attrs["callback"]
    thunk = e.module.fresh(f"{callee.name}.callback")
    result = "void" if callback.result is None else _c_type(e, callback.result)
    kinds = [_c_type(e, k) for k in callback.parameters]
    own = [e.type(t) for t in callee.results]
    packed = f"{{{', '.join(['i32', *own])}}}"
    args = ", ".join([*(f"{e.type(k)} %p{i}" for i, k in enumerate(callback.parameters)), "ptr %record"])
    head = ", ".join(f"{k} %p{i}" for i, k in enumerate(kinds))
    back = result.split()[::-1]  # attributes of a result stand before its type
    lines = ["  %record = alloca [16 x i64], align 16", f"  %r = call {packed} @{callee.name}({args})"]
    if callback.result is None:
        lines.append("  ret void")
    else:
        lines += [f"  %x = extractvalue {packed} %r, 1", f"  ret {e.type(callback.result)} %x"]
    body = "\n".join(lines)
    attributes = e.target.function_attributes(None)
    e.module.functions.append(f"define internal {' '.join(back)} @{thunk}({head}) {attributes} {{\n{body}\n}}")
    return e.value(f"ptrtoint ptr @{thunk} to i64")


@callback_address.legality
def _(target, op):
    from sapwood.lang.errors.systems import CallbackMayRaise

    callee = op.attrs["function"]
    if callee.may_raise:
        kinds = {o.attrs["exception"].__name__ for o in callee.body.walk() if "exception" in o.attrs}
        what = " or ".join(sorted(kinds)) or "an exception"
        raise CallbackMayRaise(op.loc, function=op.attrs["name"], exception=what)
    return None


@operation(varies=True, space="host")
def errno() -> int:
    """The value that the last C function of this thread left in `errno`."""
    ...


@errno.typing
def _(b):
    return b.convert(b.emit1(errno, (), I32), I64)


@errno.reference
def _(op):
    from sapwood.lang.external import errno as of_python

    return of_python()


@errno.python
def _():
    from sapwood.lang.external import errno as of_python

    return of_python()


@errno.lowering
def _(e, op):
    return e.value(f"load i32, ptr {e.call('__errno_location', 'ptr', [])}, align 4")
