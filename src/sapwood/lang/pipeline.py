"""The pipeline: from a Python function to object code, top to bottom.

    source --front--> HIR --infer--> SSA --check--> SSA --lower--> LLVM text --codegen--> object

Each step's output prints with SAPWOOD_DEBUG=hir,ssa,llvm,asm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sapwood import config
from sapwood.lang.border.arguments import ObjectArg, TupleArg
from sapwood.lang.border.boundary import (
    AddressParam,
    argument_leaves,
    argument_params,
    argument_value,
    field_shape,
    result_shape,
)
from sapwood.lang.border.parameters import spread, spread_names
from sapwood.lang.border.results import ResultShape
from sapwood.lang.errors import CompileError, CountedInParallel, KernelResult, MutatedCopy
from sapwood.lang.front.dump import dump
from sapwood.lang.infer.builder import Builder
from sapwood.lang.infer.heap import Dead
from sapwood.lang.infer.interpreter import Dependencies, Interpreter
from sapwood.lang.ir.printer import format_program
from sapwood.lang.ir.ssa import Function, Program, Region, Var
from sapwood.lang.lower.emitter import lower_program
from sapwood.lang.ops import control, objects
from sapwood.lang.ops.heap_struct import give_away
from sapwood.lang.passes.legality import check_legality
from sapwood.lang.passes.orders import settle_orders
from sapwood.lang.passes.spinning import give_way_in_loops
from sapwood.lang.passes.uniformity import mark_uniform
from sapwood.lang.passes.verify import verify
from sapwood.lang.passes.written import written_parameters
from sapwood.lang.types import Bytes, MemoryView, Ref, Str
from sapwood.lang.values import Agg, Known, Spec, Value, describe, leaves_of
from sapwood.runtime.dtypes import DTYPES
from sapwood.runtime.entry import EntrySignature, ObjectParam, ScalarParam, TensorParam, emit_entry


@dataclass
class Compiled:
    """One compiled unit, before it is loaded."""

    symbol: str
    program: Program
    text: str
    dependencies: Dependencies
    links: dict[str, Any] = field(default_factory=dict)
    signature: EntrySignature | None = None
    shape: ResultShape | None = None
    mutated: tuple[int, ...] = ()
    result: Spec | None = None


# -- the steps ---------------------------------------------------------------------------------------


def compile_entry(fn: Any, arguments: list[Any], target: Any, symbol: str) -> Compiled:
    """A function with the boundary to Python: `arguments` come from classify.classify."""
    interpreter = Interpreter(target)
    _show("hir", lambda: dump(interpreter.hir(fn)))
    interpreter.kernel = fn if fn.options.kernel else None
    program, shape, mutated = infer_entry(interpreter, fn, arguments, symbol)  # front and inference
    _show("ssa", lambda: format_program(program))
    check(program, target)
    signature = _signature(fn, arguments, program, shape)
    text = lower_program(program, target)
    if not target.gpu:  # the entry of a GPU's kernel is in a module of its own, for the CPU (devices/cuda_kernels.py)
        text += emit_entry(signature, symbol, f"{symbol}.entry", text)
    heap = program.entry.attrs.get("heap")
    if heap is not None:
        drops = ", ".join(f"ptr @{f.name}" for f in heap[2])
        text += f"@{symbol}.drops = constant [{len(heap[2])} x ptr] [{drops}]\n"
    _show("llvm", lambda: text)
    _show_assembly(text, target)
    return Compiled(
        symbol, program, text, interpreter.dependencies, interpreter.links, signature, shape, mutated
    )


def compile_unit(fn: Any, arguments: tuple[Value, ...], target: Any, symbol: str) -> Compiled:
    """A function as a unit of its own, called from compiled code only: flat leaves in, flat leaves out."""
    interpreter = Interpreter(target)
    program = interpreter.compile(fn, arguments, symbol)
    _show("ssa", lambda: format_program(program))
    check(program, target)
    text = lower_program(program, target)
    _show("llvm", lambda: text)
    _show_assembly(text, target)
    result = program.entry.attrs["result"]
    return Compiled(symbol, program, text, interpreter.dependencies, interpreter.links, result=result)


def check(program: Program, target: Any) -> None:
    """Everything that must hold before LLVM sees the program."""
    verify(program)
    for function in program.functions:
        settle_orders(function)
    check_legality(program, target)
    written_parameters(program)
    for function in program.functions:
        if function.kind == "kernel":
            give_way_in_loops(function)
            mark_uniform(function, target.warp_size)


# -- inference of an entry -----------------------------------------------------------------------------


def infer_entry(
    interpreter: Interpreter, fn: Any, arguments: list[Any], symbol: str
) -> tuple[Program, ResultShape, tuple[int, ...]]:
    """The program whose entry takes flat leaves, makes the arguments' values, and calls `fn` with them."""
    return interpreter.settle(lambda: _walk_entry(interpreter, fn, arguments, symbol))


def _walk_entry(
    interpreter: Interpreter, fn: Any, arguments: list[Any], symbol: str
) -> tuple[Program, ResultShape, tuple[int, ...]]:
    from sapwood.lang.declared import Declared
    from sapwood.lang.infer.interpreter import finish
    from sapwood.lang.infer.iteration.reductions import each
    from sapwood.lang.infer.walker import FunctionWalker

    body = Region()
    builder = Builder(interpreter, body)
    code = interpreter.hir(fn)
    builder.loc = code.loc
    builder.unchecked = fn.options.unchecked
    frame = FunctionWalker(interpreter, builder, code, fn.__wrapped__, list[Declared](), code.name)
    params = [Var(t) for a in arguments for t in argument_leaves(a)]
    leaves = iter(params)
    interpreter.parameters, interpreter.tensor_maps = params, []
    frame.is_entry = True
    interpreter.frames.append(frame)
    values = [argument_value(a, frame, leaves) for a in arguments]
    if any(isinstance(a, ObjectArg) for a in arguments):
        builder.emit(objects.arguments_made)
    places = spread(code.params, fn.state.star, len(values))
    copied = {
        leaf: MutatedCopy(p.loc, name=p.name, function=code.name, type=leaf.type)
        for a, p, v in zip(arguments, places, values, strict=True) for leaf in _copies(a, v)
    }
    entry = Function(symbol, tuple(params), (), body, "kernel" if interpreter.kernel else "host", code.loc)
    entry.attrs["copied"] = copied
    entry.restrict = _restricted(fn, arguments)
    named = {p.name: v for p, v in zip(places, values, strict=True) if p.keyword_only}
    try:
        result: Value | None = frame.call_compiled(fn, values[: len(values) - len(named)], named)
        if code.generator and result is not None:  # Python runs it by itself, but `sapwood check` looks at its body
            each(frame, result, [], lambda _, __: None)
            result = Known(None)
    except Dead:
        result = None  # it never returns
    except CompileError as e:
        if e.calls:  # the outermost call is Python's
            e.calls[-1] = (e.calls[-1][0], None)
        raise
    builder.loc = code.loc
    if interpreter.kernel and result not in (None, Known(None)):
        raise KernelResult(code.loc, name=code.name, found=describe(result or Known(None)))
    if frame.result is not None and frame.result.kind == "native" and isinstance(result, Var):
        shape, flat = ResultShape("native", str(frame.result.args[0])), [builder.apply(give_away, result)]
    else:
        shape, flat = result_shape(builder, Known(None) if result is None else result)
    mutated = tuple(i for i, a in enumerate(arguments) if getattr(a, "mutable", False))
    if interpreter.kernel or result is None:
        mutated = ()  # each thread has its own copy of a struct
    if mutated:
        shapes, extra = [shape], list(flat)
        for i in mutated:
            s, more = field_shape(builder, arguments[i], values[i])
            shapes.append(s)
            extra += more
        shape, flat = ResultShape("tuple", None, tuple(shapes)), extra
    if result is not None:
        builder.emit(control.return_, tuple(flat))
    interpreter.frames.pop()
    if interpreter.table is not None:
        drops = [interpreter.drop_function(kind) for kind in interpreter.table.kinds]
        entry.attrs["heap"] = (interpreter.table.text, interpreter.table.roots, drops)
    entry.results = tuple(v.type for v in flat)
    if interpreter.tensor_maps:
        entry.attrs["tensor_maps"] = tuple(interpreter.tensor_maps)
    functions = [entry, *(i.function for i in interpreter.order)]
    if not interpreter.changes:  # else it is walked again
        finish(functions)
    return Program(entry, functions, interpreter.links, interpreter.target), shape, mutated


def _copies(argument: Any, value: Value) -> list[Var]:
    """The references of an argument that are copies of what Python has, and not written back. A memoryview looks at
    the caller's memory."""
    if isinstance(argument, ObjectArg):
        return [v for v in leaves_of(value) if not _is_written_in_place(v)]
    if isinstance(argument, TupleArg) and isinstance(value, Agg):
        return [v for a, item in zip(argument.items, value.items, strict=True) for v in _copies(a, item)]
    return []


def _is_written_in_place(v: Var) -> bool:
    """Or never: no change of it can be lost."""
    return isinstance(v.type, Ref) and isinstance(v.type.target, Str | Bytes | MemoryView)


def _restricted(fn: Any, arguments: list[Any]) -> frozenset[int]:
    if not fn.options.restrict:
        return frozenset()
    out, at = set(), 0
    for a in arguments:
        leaves = argument_leaves(a)
        if type(a).__name__ == "TensorArg":
            out.add(at)
        at += len(leaves)
    return frozenset(out)


def _signature(fn: Any, arguments: list[Any], program: Program, shape: ResultShape) -> EntrySignature:
    from dataclasses import replace

    names = spread_names(fn.state.signature, len(arguments))
    params, at = [ScalarParam(n, DTYPES["i64"]) for n in program.target.launch] if fn.options.kernel else [], 0
    gpu = program.target.gpu
    for name, a in zip(names, arguments, strict=True):
        for p in argument_params(a, name):
            if isinstance(p, TensorParam):
                p = replace(p, writable=at in program.entry.written, on_device=gpu)
                at += 1 + 2 * p.rank
            elif isinstance(p, ScalarParam) and p.dtype.kind == "complex":
                at += 2
            elif isinstance(p, ScalarParam | ObjectParam):
                if isinstance(p, AddressParam):
                    p = replace(p, writable=at in program.entry.written)
                at += 1
            params.append(p)
    uses_pool = any(op.name == "parallel_for" for op in program.walk()) or any(
        getattr(unit, "uses_pool", False) for unit in program.links.values()
    )
    if gpu:  # a launch gives the driver's code
        return EntrySignature(tuple(params), DTYPES["i32"], release_gil=False, can_raise=False)
    result = shape.entry_result() if shape.simple else _flat_result(program)
    may_raise = program.entry.may_raise or fn.options.kernel  # threads can wait for each other for ever
    release = (fn.options.nogil or uses_pool or fn.options.kernel) and not program.needs_gil
    if fn.options.nogil and not release:
        found = program.counted()
        loc, kind = (None, "a heap object") if found is None else (found[0].loc, found[1].type)
        raise CountedInParallel(loc, type=kind)
    recursive = bool(program.links) or any(op.name == "check_stack" for op in program.walk())
    return EntrySignature(tuple(params), result, release, may_raise, recursive)


def _flat_result(program: Program) -> Any:
    names = (str(t) for t in program.entry.results)
    return tuple("object" if n == "object" else DTYPES[n] for n in names)


# -- printing ------------------------------------------------------------------------------------------


def _show(step: str, text: Callable[[], str]) -> None:
    if step in config.debug():
        print(f"-- {step} " + "-" * 60 + "\n" + text(), file=sys.stderr)


def _show_assembly(text: str, target: Any) -> None:
    if "asm" in config.debug():
        from sapwood.targets.codegen import emit_assembly

        print("-- asm " + "-" * 60 + "\n" + emit_assembly(text, target), file=sys.stderr)
