"""Indices: brought into range in one operation, so that passes see what is checked against what.

`lower/versions.py` takes the checks out of loops whose indices are in range from the first to the last iteration.
"""

from __future__ import annotations

from sapwood.lang.ops.base import operation
from sapwood.lang.ops.control import lower_raise, make_exception


@operation(control=True, raises=True)
def check_index(i: int, n: int) -> int:
    """The index `i` of `n` items, counted from the front: a negative one counts from the end. Raises attribute
    `exception` with `message`, a format of both operands, where there is no such item. Attribute `front`: it is not
    negative."""
    ...


@check_index.reference
def _(ev, op, i, n):
    at = i + n if i < 0 else i
    if not 0 <= at < n:
        error = make_exception(ev, op, (i, n))
        error.add_note(f"at {op.loc}")
        raise error
    return (at,)


@check_index.lowering
def _(e, op):
    from sapwood.lang.ops.exceptions import descriptor

    bounds = e.module.bounds(e.function)
    i, n = (e.name(v) for v in op.operands)
    at = i
    if not (op.attrs["front"] or bounds is not None and op in bounds.front):
        below = e.value(f"icmp slt i64 {i}, 0")
        at = e.select("i1", below, "i64", e.value(f"add i64 {i}, {n}"), i)
    outside = e.value(f"icmp uge i64 {at}, {n}")
    e.names[op.result] = at
    if "{" not in op.attrs["message"]:
        e.raise_error_if(outside, op, "raise", descriptor(e, op, ()))
        return
    bad, good = e.label("raise"), e.label("ok")
    e.line(f"br i1 {outside}, label %{bad}, label %{good}, !prof !1")
    e.block(bad)
    lower_raise(e, op, op.operands)
    e.block(good)
