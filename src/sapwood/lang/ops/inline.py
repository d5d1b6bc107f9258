"""Inline LLVM IR and inline assembly.

Functions that contain them are compiled in a process of their own (targets/isolated.py), because LLVM ends the process
on text that it cannot select. They are as unsafe as Ptr is: nothing checks what the text does.
"""

from __future__ import annotations

import re
from typing import Any

from sapwood.lang.errors import BadOperand
from sapwood.lang.errors.systems import InlineConstraint
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.base import operation
from sapwood.lang.types import Ptr, Scalar, Simd
from sapwood.lang.values import Known, Value, describe

NAMES = frozenset({"inline_llvm", "inline_asm"})


def _result_type(b, result: Value, function: str) -> Any:
    """A scalar, vector or pointer type, or None for no result."""
    from sapwood.lang.declared import concrete_type, declare

    given = b.known(result, f"the result type of {function}")
    if given is None:
        return None
    found = concrete_type(declare(given, function, b.loc))
    if not isinstance(found, Scalar | Simd | Ptr):
        hint = "a dtype, SIMD[...], Ptr[...] or None"
        raise BadOperand(b.loc, function=function, detail=f"the result cannot be {describe(result)}", hint=hint)
    return found


def _operands(b, args: Value) -> tuple[Var, ...]:
    from sapwood.lang.ops.operators import tuple_items

    return tuple(b.materialize(a) for a in tuple_items(args))


@operation(varies=True)
def inline_llvm(text: str, result: Any, *args: Any) -> Any:
    """The result of LLVM IR: `text` is the body of a function with parameters %arg0, %arg1, ... and ends in `ret`.

    `result` is a dtype, SIMD, Ptr, or None (the body ends in `ret void`). Lines that begin with `declare` stand before
    the function. LLVM's mistakes are reported where the call stands. Runs in compiled code only.
    """


@inline_llvm.typing
def _(b, text, result, args):
    attrs = {"text": b.known(text, "the text of inline_llvm", str)}
    kind = _result_type(b, result, "inline_llvm")
    if kind is None:
        b.emit(inline_llvm, _operands(b, args), (), attrs)
        return Known(None)
    return b.emit1(inline_llvm, _operands(b, args), kind, **attrs)


def _only_compiled(op, *values):
    raise NotImplementedError(f"{op.name} runs in compiled code only")


inline_llvm.reference(_only_compiled)


@inline_llvm.lowering
def _(e, op, *values):
    result = e.type(op.results[0].type) if op.results else "void"
    kinds = [e.type(v.type) for v in op.operands]
    e.module.isolated = True
    name = e.module.fresh("inline_llvm")
    lines = op.attrs["text"].splitlines()
    for line in lines:
        if line.strip().startswith("declare "):
            e.declare(line.strip())
    body = "\n".join(line for line in lines if not line.strip().startswith("declare "))
    params = ", ".join(f"{t} %arg{i}" for i, t in enumerate(kinds))
    head = f"define internal {result} @{name}({params}) alwaysinline"
    e.module.functions.append(f"{head} {e.target.function_attributes(None)} {{\n{body}\n}}")
    text = f"call {result} @{name}({', '.join(f'{t} {x}' for t, x in zip(kinds, values, strict=True))})"
    if not op.results:
        e.line(text)
        return ()
    return e.value(text)


@operation(varies=True)
def inline_asm(template: str, constraints: str, result: Any, *args: Any) -> Any:
    """The result of assembly, in AT&T syntax: operands are $0, $1, ..., of which $0 is the result if there is one.

    `constraints` is LLVM's list: "=r,r,r" for a result and two inputs in registers; clobbers as "~{memory}". The
    instructions are kept even if the result is not used. Runs in compiled code only.
    """


@inline_asm.typing
def _(b, template, constraints, result, args):
    attrs = {
        "template": b.known(template, "the template of inline_asm", str),
        "constraints": b.known(constraints, "the constraints of inline_asm", str),
    }
    kind = _result_type(b, result, "inline_asm")
    operands = _operands(b, args)
    listed = [c for c in re.split(r",(?![^{]*\})", attrs["constraints"]) if c and not c.startswith("~")]
    outputs = sum(c.startswith("=") for c in listed)
    if outputs != (kind is not None) or len(listed) - outputs != len(operands):
        given = f"{outputs} outputs and {len(listed) - outputs} inputs"
        wanted = f"{int(kind is not None)} outputs and {len(operands)} inputs"
        raise InlineConstraint(b.loc, detail=f"the constraints list {given}, but there are {wanted}")
    if kind is None:
        b.emit(inline_asm, operands, (), attrs)
        return Known(None)
    return b.emit1(inline_asm, operands, kind, **attrs)


inline_asm.reference(_only_compiled)


@inline_asm.lowering
def _(e, op, *values):
    def quoted(text: str) -> str:
        return "".join(chr(c) if 32 <= c < 127 and c not in (34, 92) else f"\\{c:02X}" for c in text.encode())

    result = e.type(op.results[0].type) if op.results else "void"
    args = ", ".join(f"{e.type(v.type)} {x}" for v, x in zip(op.operands, values, strict=True))
    e.module.isolated = True
    code = f'asm sideeffect "{quoted(op.attrs["template"])}", "{quoted(op.attrs["constraints"])}"'
    if not op.results:
        e.line(f"call void {code}({args})")
        return ()
    return e.value(f"call {result} {code}({args})")
