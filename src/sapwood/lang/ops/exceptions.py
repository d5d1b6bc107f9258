"""Handlers: `try`, and what happens to a caught exception.

`raise` and `raise_if` are in control.py. How a caught exception is stored: runtime/error_layout.py. In the evaluator
`ev.error` is the exception on its way, and a slot or cell is the exception itself.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

from sapwood.lang.errors import Loc
from sapwood.lang.ops.base import operation
from sapwood.lang.ops.control import Exit, as_word
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.types import I64, Leaf, Object, Ptr, Ref
from sapwood.runtime.error_layout import (
    CAUSE,
    CONTEXT,
    COUNT,
    DESCRIPTOR,
    OBJECT,
    OBJECTS_AT,
    OWNED_AT,
    PLACE,
    WORDS,
    class_hash,
)
from sapwood.runtime.errors import append_context

RECORD = Ptr(I64, "local")
CELL = I64


# -- descriptors --------------------------------------------------------------------------------------


def class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def class_table(cls: type[BaseException]) -> list[int]:
    """Hashes of a class and its bases that a handler may name."""
    bases = [c for c in cls.__mro__ if issubclass(c, BaseException) and c is not BaseException]
    return [class_hash(c) for c in bases]


def descriptor(e, op, args) -> str:
    """What stands in the object code for a place that raises; runtime/errors.py reads the JSON text in it."""
    return record_descriptor(e.module, op.attrs["exception"], op.attrs, [v.type for v in args], op.loc)


def record_descriptor(module, cls: type[BaseException], attrs: dict[str, Any], types: list[Leaf], loc: Loc) -> str:
    """A descriptor among the constants of a module; `attrs` as those of `raise`, `types` of its run-time values."""
    text = json.dumps(
        {
            "type": class_name(cls),
            "message": attrs.get("message"),
            "parts": attrs.get("parts"),
            "keywords": attrs.get("keywords"),
            "args": [str(t) for t in types],
            "file": loc.file,
            "line": loc.line,
            "col": loc.col,
            "function": loc.function,
        },
        ensure_ascii=True,
    )
    return module.descriptor(class_table(cls), _owned(types), text)


def _owned(types: list[Leaf]) -> int:
    """Which values are references: those of heap objects, and those of Python objects."""
    bits = 0
    for i, t in enumerate(types):
        if isinstance(t, Ref):
            bits |= 1 << i + (OBJECTS_AT if isinstance(t.target, Object) else OWNED_AT)
    return bits


# -- try ----------------------------------------------------------------------------------------------


@operation(name="try", control=True, space="host")
def try_() -> None:
    """Run the first region; an error edge that names the attribute `id` leads into the second, the handler, whose
    parameters are the values of that edge. Results are what either yields."""


@try_.reference
def _(ev, op):
    try:
        return ev.region(op.regions[0], ())
    except Exit as exit:
        if exit.kind != "raise" or exit.target != op.attrs["id"]:
            raise
        values = exit.values
    return ev.region(op.regions[1], values)


@try_.lowering
def _(e, op):
    e.try_(op)


# -- the exception in a handler -----------------------------------------------------------------------


@operation(control=True, space="host")
def error_matches() -> None:
    """Whether the exception on its way is one of `classes`: the first thing that a handler does."""


@error_matches.reference
def _(ev, op):
    return (isinstance(ev.error, op.attrs["classes"]),)


@error_matches.lowering
def _(e, op):
    hashes = [class_hash(c) for c in op.attrs["classes"]]
    e.names[op.result] = lower_match(e, "%err", hashes)


def lower_match(e, record: str, hashes: list[int]) -> str:
    """Whether the exception of a record is of one of the classes. The very class of a record in place is tested here,
    so that LLVM sees through a `raise` and its handler in one function. A call finds the rest: bases, cells, and
    Python objects."""
    count = e.value(f"load i64, ptr {e.value(f'getelementptr i64, ptr {record}, i64 {COUNT}')}")
    test, other, done = (e.label(s) for s in ("class", "bases", "matched"))
    e.line(f"br i1 {e.value(f'icmp sge i64 {count}, 0')}, label %{test}, label %{other}")
    e.block(test)
    table = e.value(f"load ptr, ptr {record}")
    name = e.value(f"load i64, ptr {e.value(f'getelementptr i64, ptr {table}, i64 1')}, !invariant.load !2")
    found = _any(e, [e.value(f"icmp eq i64 {name}, {h}") for h in hashes])
    e.line(f"br i1 {found}, label %{done}, label %{other}")
    e.block(other)
    calls = [e.call("sapwood_error_matches", "i32", [("ptr", record), ("i64", str(h))]) for h in hashes]
    far = _any(e, [e.value(f"icmp ne i32 {c}, 0") for c in calls])
    e.line(f"br label %{done}")
    e.block(done)
    return e.value(f"phi i1 [ true, %{test} ], [ {far}, %{other} ]")


def _any(e, tests: list[str]) -> str:
    found = tests[0]
    for test in tests[1:]:
        found = e.value(f"or i1 {found}, {test}")
    return found


@operation(control=True, space="host")
def catch_error() -> None:
    """Move the exception on its way into a slot of this frame. With `in_place` it stays where it is: nothing writes
    another one there before it ends."""


@catch_error.reference
def _(ev, op):
    error, ev.error = ev.error, None
    return (error,)


@catch_error.lowering
def _(e, op):
    if op.attrs.get("in_place"):
        e.names[op.result] = "%err"
        return
    slot = e.alloca(8 * WORDS, 8)
    _move(e, "%err", slot)
    e.names[op.result] = slot


def _move(e, source: str, target: str) -> None:
    e.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    arguments = f"ptr align 8 {target}, ptr align 8 {source}, i64 {8 * WORDS}, i1 false"
    e.line(f"call void @llvm.memcpy.p0.p0.i64({arguments})")


@operation(control=True, space="host")
def discard_error() -> None:
    """The exception in a slot ends."""


@discard_error.reference
def _(ev, op, slot):
    return ()


@discard_error.lowering
def _(e, op):
    """Most exceptions refer to nothing; LLVM often sees that."""
    slot = e.name(op.operands[0])
    count, context, cause = (
        e.value(f"load i64, ptr {e.value(f'getelementptr i64, ptr {slot}, i64 {i}')}") for i in (COUNT, 8, 9)
    )
    plain = e.value(f"icmp sge i64 {count}, 0")
    more = e.value(f"or i64 {context}, {cause}")
    test, end, done = (e.label(s) for s in ("owned", "discard", "discarded"))
    alone = e.value(f"and i1 {plain}, {e.value(f'icmp eq i64 {more}, 0')}")
    e.line(f"br i1 {alone}, label %{test}, label %{end}")
    e.block(test)
    head = e.value(f"load i64, ptr {e.value(f'load ptr, ptr {slot}')}, !invariant.load !2")
    none = e.value(f"icmp ult i64 {head}, {1 << OWNED_AT}")
    e.line(f"br i1 {none}, label %{done}, label %{end}")
    e.block(end)
    e.call("sapwood_error_discard", "void", [("ptr", slot)])
    e.line(f"br label %{done}")
    e.block(done)


@operation(control=True, space="host")
def error_context() -> None:
    """The exception on its way left the handler of the one in the slot, which becomes its context; the slot ends."""


@error_context.reference
def _(ev, op, slot):
    append_context(ev.error, slot)
    return ()


@error_context.lowering
def _(e, op):
    e.call("sapwood_error_context", "void", [("ptr", "%err"), ("ptr", e.name(op.operands[0]))])


@operation(control=True, space="host", raises=True)
def reraise() -> None:
    """Leave with the exception on its way, or with that of a slot. With `keep` the slot keeps it as well."""


@reraise.reference
def _(ev, op, *slot):
    raise slot[0] if slot else ev.error


@reraise.lowering
def _(e, op):
    if op.operands:
        slot = e.name(op.operands[0])
        if op.attrs.get("keep"):
            e.call("sapwood_error_raise_again", "void", [("ptr", slot), ("ptr", "%err")])
        elif slot != "%err":
            _move(e, slot, "%err")
    e.fail(op)


@operation(control=True, space="host")
def error_object() -> None:
    """The exception in a slot as a Python object, which it is from then on."""


@error_object.reference
def _(ev, op, slot):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(slot))
    return (Pointer(Block(id(slot), None, slot), 0, I64),)


@error_object.lowering
def _(e, op):
    e.names[op.result] = e.call("sapwood_error_object", "ptr", [("ptr", e.name(op.operands[0]))])


# -- causes -------------------------------------------------------------------------------------------


@operation(control=True, space="host")
def share_error() -> None:
    """A cell with the exception of a slot, which keeps it."""


@share_error.reference
def _(ev, op, slot):
    return (slot,)


@share_error.lowering
def _(e, op):
    e.names[op.result] = e.call("sapwood_error_share", "i64", [("ptr", e.name(op.operands[0]))])


@operation(control=True, space="host", consumes=True)
def new_error() -> None:
    """A cell with an exception that is made here and not raised. Attributes as those of `raise`."""


@new_error.reference
def _(ev, op, *values):
    from sapwood.lang.ops.control import make_exception

    return (make_exception(ev, op, values),)


@new_error.lowering
def _(e, op):
    slot = e.alloca(8 * WORDS, 8)
    e.fill_error(descriptor(e, op, op.operands), [as_word(e, v) for v in op.operands], record=slot)
    e.names[op.result] = e.call("sapwood_error_shared", "i64", [("ptr", slot)])


@operation(control=True, space="host", consumes=True)
def object_cell() -> None:
    """A cell with an exception that is a Python object."""


@object_cell.reference
def _(ev, op, pointer):
    from sapwood.lang.ops.control import taken_object

    return (taken_object(pointer),)


@object_cell.lowering
def _(e, op):
    slot = e.alloca(8 * WORDS, 8)
    fields = {DESCRIPTOR: f"ptr {e.name(op.operands[0])}", COUNT: f"i64 {OBJECT}", PLACE: "i64 0"}
    for at, text in (fields | {CONTEXT: "i64 0", CAUSE: "i64 0"}).items():
        e.line(f"store {text}, ptr {e.value(f'getelementptr i64, ptr {slot}, i64 {at}')}")
    e.names[op.result] = e.call("sapwood_error_shared", "i64", [("ptr", slot)])
