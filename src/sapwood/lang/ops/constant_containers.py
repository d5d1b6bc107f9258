"""Containers of a module that compiled code reads: each is made once, and kept in a slot of the object code."""

from __future__ import annotations

import ctypes
from typing import Any

from sapwood.lang.lower.small_blocks import kept_blocks
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.heap import IMMORTAL, lower_retain
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import I64, Ref
from sapwood.runtime import heap


@operation(name="kept_constant", control=True)
def kept_constant() -> Any:
    """The container that has been kept under the attribute `key`, or null. Its contents never change."""


_evaluated: dict[str, Pointer] = {}


@kept_constant.reference
def _(ev, op):
    found = _evaluated.get(op.attrs["key"])
    if found is None:
        return (Pointer(Block(0, None), 0, I64),)
    ctypes.c_int64.from_address(found.address).value += 1
    return (found,)


@kept_constant.lowering
def _(e, op):
    t = op.result.type
    assert isinstance(t, Ref)
    p = e.value(f"load ptr, ptr {_slot(e, op)}")
    lower_retain(e, p, t)
    e.names[op.result] = p


def _slot(e, op) -> str:
    return e.module.data(f"ptr null ; constant {op.attrs['key']}")


@operation(name="live_count", control=True)
def live_count() -> int:
    """The number of live allocations."""
    ...


@live_count.reference
def _(ev, op):
    return (heap.live_objects(),)


@live_count.lowering
def _(e, op):
    e.declare("@sapwood_heap_state = external global i64")
    allocated = e.value("load i64, ptr @sapwood_heap_state, align 8")
    e.names[op.result] = e.value(f"sub i64 {allocated}, {kept_blocks(e)}")


@operation(name="keep_constant", control=True)
def keep_constant(x: Any, before: int) -> None:
    """Keep a container under the attribute `key` for good. What it took is no leak: `before` is the count of then."""


@keep_constant.reference
def _(ev, op, x, before):
    ctypes.c_int64.from_address(x.address).value = IMMORTAL
    _evaluated[op.attrs["key"]] = x
    heap.count(before - heap.live_objects())
    return ()


@keep_constant.lowering
def _(e, op):
    p, before = (e.name(v) for v in op.operands)
    e.line(f"store i64 {IMMORTAL}, ptr {p}, align 8")
    e.line(f"store ptr {p}, ptr {_slot(e, op)}")
    e.declare("@sapwood_heap_state = external global i64")
    e.line(f"store i64 {e.value(f'add i64 {before}, {kept_blocks(e)}')}, ptr @sapwood_heap_state, align 8")
