"""Control flow: branches, loops, calls, exits, parallel regions, exceptions, print.

Reference rules of control operations get the evaluator; lowering rules get the emitter and place blocks.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.heap import lower_retain
from sapwood.lang.types import F64, Object, Ref, Scalar
from sapwood.runtime.error_layout import FROM_NONE, STACK_LIMIT


class Exit(Exception):
    """A `break`, `continue` or `return` on its way to its target, in the evaluator."""

    def __init__(self, kind: str, target: Any, values: tuple[Any, ...]) -> None:
        self.kind, self.target, self.values = kind, target, values


# -- terminators ------------------------------------------------------------------------------------


@operation(name="yield", control=True)
def yield_() -> None:
    """End a branch or body with these results."""


@yield_.reference
def _(ev, op, *values):
    return values


@yield_.lowering
def _(e, op):
    pass  # the owner of the region reads the operands


@operation(name="break", control=True)
def break_() -> None:
    """Leave the loop `target` with these results."""


@break_.reference
def _(ev, op, *values):
    raise Exit("break", op.attrs["target"], values)


@break_.lowering
def _(e, op):
    e.leave_loop(op)


@operation(name="continue", control=True)
def continue_() -> None:
    """Begin the next iteration of the loop `target` with these values."""


@continue_.reference
def _(ev, op, *values):
    raise Exit("continue", op.attrs["target"], values)


@continue_.lowering
def _(e, op):
    e.leave_loop(op)


@operation(name="return", control=True)
def return_() -> None:
    """Leave the function with these results."""


@return_.reference
def _(ev, op, *values):
    raise Exit("return", None, values)


@return_.lowering
def _(e, op):
    e.return_values([(v.type, e.name(v)) for v in op.operands])


# -- exceptions -------------------------------------------------------------------------------------

RAISE_LIMIT = 6  # values that an error record holds


def make_exception(ev: Any, op: Any, values: tuple[Any, ...]) -> BaseException:
    """The exception of a raising operation whose attributes `parts` and `keywords` say what its arguments are:
    {"value": constant}, {"tuple": parts}, {"text": parts of an f-string}, {"spec": format of the next operand}, or
    None for it as it is; or else `message` is a format for them."""
    exception = op.attrs["exception"]
    taken = op.operands[1:] if op.op is raise_if else op.operands
    values = tuple(_taken(ev, x, v.type) if isinstance(v.type, Ref) else x for x, v in zip(values, taken, strict=False))
    if op.attrs.get("parts") is None:
        message = op.attrs["message"]  # an empty one: no arguments
        return exception(message.format(*values)) if message else exception()
    queue = list(values)

    def argument(part: Any) -> Any:
        if part is None:
            return queue.pop(0)
        if "text" in part:
            return "".join(str(argument(p)) for p in part["text"])
        if "spec" in part:
            return format(queue.pop(0), part["spec"])
        return tuple(map(argument, part["tuple"])) if "tuple" in part else part["value"]

    args = [argument(p) for p in op.attrs["parts"]]
    return exception(*args, **{k: argument(p) for k, p in (op.attrs.get("keywords") or {}).items()})


def _taken(ev: Any, pointer: Any, t: Ref) -> Any:
    """What Python sees of a text or object of the evaluator, whose reference ends."""
    from sapwood.lang.ops.heap import release_value
    from sapwood.runtime.errors import read_text

    if isinstance(t.target, Object):
        return taken_object(pointer)
    text = read_text(pointer.address)
    release_value(ev, pointer, t)
    return text


def taken_object(pointer: Any) -> Any:
    """The Python object that the evaluator's value is a reference to, which ends."""
    import ctypes

    found = ctypes.cast(pointer.address, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(pointer.address))
    return found


def fail_with(e, op, exception: type[BaseException], *args: Any) -> None:
    """Raise an exception with constant arguments from the lowering of any operation that raises."""
    e.raise_error(op, _constant_record(e, op, exception, args), [])


def _constant_record(e, op, exception: type[BaseException], args: tuple[Any, ...]) -> str:
    from sapwood.lang.ops.exceptions import record_descriptor

    return record_descriptor(e.module, exception, {"parts": [{"value": a} for a in args]}, [], op.loc)


def fail_with_if(e, op, failed: str, exception: type[BaseException], *args: Any) -> None:
    """Raise an exception with constant arguments from the lowering of an operation if the i1 holds, which is rare."""
    e.raise_error_if(failed, op, "rare", _constant_record(e, op, exception, args), rare=True)


def _raise_from(ev: Any, op: Any, values: tuple[Any, ...]) -> None:
    error = make_exception(ev, op, values)
    error.add_note(f"at {op.loc}")
    raise error


@operation(name="raise", control=True, raises=True, consumes=True)
def raise_() -> None:
    """Raise an exception. Attributes as for make_exception; and `cause`: None, "none" (`from None`), or "cell":
    the last operand is the cause's cell (ops/exceptions.py)."""


@raise_.reference
def _(ev, op, *values):
    cause = op.attrs.get("cause")
    try:
        _raise_from(ev, op, values[:-1] if cause == "cell" else values)
    except BaseException as e:
        if cause is not None:
            e.__cause__ = values[-1] if cause == "cell" else None
        raise


@raise_.lowering
def _(e, op):
    match op.attrs.get("cause"):
        case "cell":
            lower_raise(e, op, op.operands[:-1], e.name(op.operands[-1]))
        case "none":
            lower_raise(e, op, op.operands, str(FROM_NONE))
        case _:
            lower_raise(e, op, op.operands)


@operation(control=True, raises=True)
def raise_if() -> None:
    """Raise an exception if the first operand holds."""


@raise_if.reference
def _(ev, op, test, *values):
    if test:
        _raise_from(ev, op, values)
    return ()


@raise_if.lowering
def _(e, op):
    from sapwood.lang.ops.exceptions import descriptor

    test, values = op.operands[0], op.operands[1:]
    if not values:
        e.raise_error_if(e.name(test), op, "raise", descriptor(e, op, ()))
        return
    bad, good = e.label("raise"), e.label("ok")
    e.line(f"br i1 {e.name(test)}, label %{bad}, label %{good}, !prof !1")
    e.block(bad)
    for v in values:
        if isinstance(v.type, Ref):
            lower_retain(e, e.name(v), v.type)  # the record has a reference of its own
    lower_raise(e, op, values)
    e.block(good)


def lower_raise(e, op, args, cause: str = "0") -> None:
    """Fill in the error record of an operation with the attributes of `raise`, and leave along its error edge."""
    from sapwood.lang.ops.exceptions import descriptor

    e.raise_error(op, descriptor(e, op, args), [as_word(e, v) for v in args], cause)


def as_word(e, v) -> str:
    """A scalar as 64 bits: ints extended, floats as f64; a reference as its address."""
    from sapwood.lang.ops.convert import lower_convert

    ty, x = v.type, e.name(v)
    if isinstance(ty, Ref):
        return e.value(f"ptrtoint ptr {x} to i64")
    if ty.is_float:
        return e.value(f"bitcast double {lower_convert(e, x, ty, F64)} to i64")
    if ty.bits == 64:
        return x
    return e.value(f"{'sext' if ty.signed else 'zext'} {e.type(ty)} {x} to i64")


# -- branches and loops -----------------------------------------------------------------------------


@operation(name="if", control=True)
def if_() -> None:
    """Run the first region if the operand holds, else the second."""


@if_.reference
def _(ev, op, test):
    return ev.region(op.regions[0 if test else 1], ())


@if_.lowering
def _(e, op):
    e.branch(op)


@operation(control=True)
def loop() -> None:
    """Run the region with the operands as parameters; `continue` runs it again, `break` ends it.

    A region that ends only in `break` runs once: an inlined call.
    """


@loop.reference
def _(ev, op, *values):
    while True:
        ev.poll()
        try:
            ev.region(op.regions[0], values)
        except Exit as exit:
            if exit.target != op.attrs["id"]:
                raise
            if exit.kind == "break":
                return exit.values
            values = exit.values


@loop.lowering
def _(e, op):
    from sapwood.lang.lower.versions import lower_versions, plan_loop

    plan = plan_loop(e, op) if e.fast is None else None
    if plan is None:
        e.loop(op)
    else:
        lower_versions(e, op, plan)


# -- calls ------------------------------------------------------------------------------------------


@operation(control=True, raises=True)
def call() -> None:
    """Call a function of the same program (attribute `function`)."""


@call.reference
def _(ev, op, *values):
    return ev.function(op.attrs["function"], values)


@call.lowering
def _(e, op):
    e.call_function(f"@{e.callee(op.attrs['function'])}", op)


@operation(control=True)
def function_address() -> None:
    """The address of a function of the same program (attribute `function`)."""


@function_address.reference
def _(ev, op):
    return (op.attrs["function"],)


@function_address.lowering
def _(e, op):
    e.names[op.result] = f"@{op.attrs['function'].name}"


@operation(control=True, raises=True)
def call_indirect() -> None:
    """Call the function that the first operand is the address of, with the others."""


@call_indirect.reference
def _(ev, op, function, *values):
    return ev.function(function, values)


@call_indirect.lowering
def _(e, op):
    e.call_function(e.name(op.operands[0]), op, op.operands[1:])


@operation(control=True, raises=True)
def call_unit() -> None:
    """Call the entry of another compilation unit (attribute `unit`), linked by its symbol."""


@call_unit.reference
def _(ev, op, *values):
    return ev.function(op.attrs["unit"].program.entry, values)


@call_unit.lowering
def _(e, op):
    unit = op.attrs["unit"]
    e.declare_unit(unit.symbol, [v.type for v in op.operands], [r.type for r in op.results])
    e.call_function(f"@{unit.symbol}", op)


@operation(control=True, raises=True)
def check_stack() -> None:
    """Raise RecursionError when the native stack is nearly used up (functions in a call cycle)."""


@check_stack.reference
def _(ev, op):
    return ()


@check_stack.lowering
def _(e, op):
    if e.level:  # inlined into a copy that has checked
        return
    # the entry has put behind the error record how far the stack of this thread may grow
    here = e.value(f"ptrtoint ptr {e.alloca(1, 1)} to i64")
    limit = e.value(f"load i64, ptr {e.value(f'getelementptr i64, ptr %err, i64 {STACK_LIMIT}')}")
    low = e.value(f"icmp ult i64 {here}, {limit}")
    bad, good = e.label("overflow"), e.label("ok")
    e.line(f"br i1 {low}, label %{bad}, label %{good}, !prof !1")
    e.block(bad)
    lower_raise(e, op, ())
    e.block(good)


# -- parallel ---------------------------------------------------------------------------------------

CHUNKS = 128  # at most so many pieces of a parallel loop; a function of n alone, so reductions are fixed


@operation(control=True, space="host", raises=True)
def parallel_for() -> None:
    """Run the region for each index from 0 to the first operand, on the pool.

    The region's parameters are the index and the reduction values; the further operands are the reductions'
    initial values; attribute `kinds` says how partial results merge, in ascending order of chunks.
    """


def merge(kind: str, a: Any, b: Any) -> Any:
    return {"add": lambda: a + b, "min": lambda: b if b < a else a, "max": lambda: b if b > a else a}[kind]()


def identity(kind: str, ty: Scalar) -> Any:
    from sapwood.lang.bits import int_range

    if kind == "add":
        return 0.0 if ty.is_float else 0
    if ty.is_float:
        return float("inf") if kind == "min" else float("-inf")
    return int_range(ty)[1 if kind == "min" else 0]


@parallel_for.reference
def _(ev, op, n, *initial):
    from sapwood.lang.ops.numeric import normalise

    kinds = op.attrs["kinds"]
    types = [r.type for r in op.results]
    totals = list(initial)
    if n <= 0:
        return tuple(totals)
    chunks = min(n, CHUNKS)
    size = -(-n // chunks)
    for start in range(0, n, size):
        partial = [identity(k, t) for k, t in zip(kinds, types, strict=True)]
        for i in range(start, min(start + size, n)):
            partial = list(ev.region(op.regions[0], (i, *partial)))
        for j, (k, t) in enumerate(zip(kinds, types, strict=True)):
            totals[j] = normalise(t, merge(k, totals[j], partial[j]))
    return tuple(totals)


@parallel_for.lowering
def _(e, op):
    from sapwood.lang.lower.parallel import lower_parallel

    lower_parallel(e, op)


# -- print ------------------------------------------------------------------------------------------


@operation(name="print", control=True)
def print_() -> None:
    """Print through Python's print; attribute `parts` mixes texts with operands: None, or {"spec": its format}."""


@print_.reference
def _(ev, op, *values):
    queue = list(values)
    items = [p if isinstance(p, str) else format(queue.pop(0), (p or {}).get("spec", "")) for p in op.attrs["parts"]]
    print(*items, sep=op.attrs["sep"], end=op.attrs["end"])
    return ()


@print_.lowering
def _(e, op):
    if e.target.gpu:
        e.thread.print_formatted(*_printf(e, op))
        return
    types = [v.type.name for v in op.operands]
    queue = list(types)
    parts = [p if isinstance(p, str) else {"arg": queue.pop(0), **(p or {})} for p in op.attrs["parts"]]
    record = json.dumps({"parts": parts, "sep": op.attrs["sep"], "end": op.attrs["end"]}, ensure_ascii=True)
    words = [as_word(e, v) for v in op.operands]
    buffer = e.alloca(8 * max(len(words), 1), 8)
    for i, word in enumerate(words):
        p = e.value(f"getelementptr i64, ptr {buffer}, i64 {i}")
        e.line(f"store i64 {word}, ptr {p}")
    e.declare("declare void @sapwood_print(ptr, ptr)")
    e.line(f"call void @sapwood_print(ptr {e.text_constant(record)}, ptr {buffer})")


# significant digits from which the same number is read back
_DIGITS = {"f16": 5, "bf16": 4, "f32": 9, "f64": 17}


# of Python's formats those that printf has, too
_SPEC = re.compile(r"(?P<left><?)>?(?P<sign>[+ ]?)(?P<zero>0?)(?P<size>\d*)(?P<digits>(\.\d+)?)(?P<kind>[deEfFgGxXo]?)")


def printf_format(spec: str, t: Scalar) -> str | None:
    """A format of a number as C's printf has it, for 64 bits; None if it has none that says the same."""
    found = _SPEC.fullmatch(spec)
    if found is None or t.kind == "bool" or found["left"] and found["zero"]:
        return None
    digits, kind = found["digits"], found["kind"]
    if t.is_float:
        if kind and kind not in "eEfFgG":
            return None
        kind = kind or "g"
        digits = digits or ("" if found["kind"] else f".{_DIGITS[t.name]}")
    elif digits or kind and kind not in ("d" if t.signed else "dxXo") or found["sign"] and not t.signed:
        return None
    else:
        kind = "ll" + ("d" if t.signed else "u" if kind in ("", "d") else kind)
    flags = ("-" if found["left"] else "") + found["sign"] + found["zero"]
    return f"%{flags}{found['size']}{digits}{kind}"


@print_.legality
def _(target, op):
    if not target.gpu:
        return None
    specs = (p for p in op.attrs["parts"] if not isinstance(p, str))
    for v, part in zip(op.operands, specs, strict=True):
        if part and printf_format(part["spec"], v.type) is None:
            return f"GPUs print by C's formats, and that has none that says '{part['spec']}' of {v.type}"
    return None


def _printf(e, op) -> tuple[str, list[str]]:
    """A print as C's printf has it: a format, and 64 bits for each value."""
    queue = list(op.operands)
    words: list[str] = []
    pieces: list[str] = []
    for part in op.attrs["parts"]:
        if isinstance(part, str):
            pieces.append(part.replace("%", "%%"))
            continue
        v = queue.pop(0)
        if v.type.kind == "bool":
            yes, no = (e.text_constant(text) for text in ("True", "False"))
            words.append(e.value(f"ptrtoint ptr {e.select('i1', e.name(v), 'ptr', yes, no)} to i64"))
            pieces.append("%s")
            continue
        words.append(as_word(e, v))
        pieces.append(printf_format(part["spec"] if part else "", v.type) or "")
    sep, end = (op.attrs[name].replace("%", "%%") for name in ("sep", "end"))
    return sep.join(pieces) + end, words


