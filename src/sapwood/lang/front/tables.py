"""Which function each operator of Python's syntax calls, and the constructs that the language refuses."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

BINARY: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.MatMult: operator.matmul,
}
INPLACE: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.iadd,
    ast.Sub: operator.isub,
    ast.Mult: operator.imul,
    ast.Div: operator.itruediv,
    ast.FloorDiv: operator.ifloordiv,
    ast.Mod: operator.imod,
    ast.Pow: operator.ipow,
    ast.LShift: operator.ilshift,
    ast.RShift: operator.irshift,
    ast.BitAnd: operator.iand,
    ast.BitOr: operator.ior,
    ast.BitXor: operator.ixor,
    ast.MatMult: operator.imatmul,
}
UNARY: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
COMPARE: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}

# construct -> (what it is called, what to do instead)
REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    ast.TryStar: ("except*", "handle the exception in the caller"),
    ast.AsyncWith: ("async with", "compiled code runs to the end without awaiting"),
    ast.AsyncFor: ("async for", "compiled code runs to the end without awaiting"),
    ast.AsyncFunctionDef: ("async def", "compiled code runs to the end without awaiting"),
    ast.Await: ("await", "compiled code runs to the end without awaiting"),
    ast.Yield: ("the value of a yield", "nothing is sent to a generator here: write `yield x` as a statement"),
    ast.YieldFrom: ("the value of a yield from", "write `yield from x` as a statement"),
    ast.ClassDef: ("a class inside a function", "define a @struct at the top of the module"),
    ast.Starred: ("a starred expression", "write the items out"),
}
