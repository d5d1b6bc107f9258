"""The reference evaluator: runs typed SSA with each operation's reference rule.

It defines what everything beyond Python's own types means, runs on every platform, and steps through source
lines when a debugger or a callback wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import NOWHERE, Loc
from sapwood.lang.front import hir
from sapwood.lang.ir.ssa import Function, Op, Region, Var
from sapwood.lang.ops.control import Exit
from sapwood.lang.ops.pointer import Pointer
from sapwood.lang.values import Agg, Known, Value

STEP_LIMIT = 50_000_000


class StepLimitExceeded(RuntimeError):
    """The evaluator ran for longer than its limit; compiled code is for long runs."""


class Evaluator:
    """Runs functions of a program. `on_line(loc)` is called when the source line changes."""

    def __init__(self, on_line: Callable[[Loc], None] | None = None, limit: int = STEP_LIMIT) -> None:
        self.env: dict[Var, Any] = {}
        self.on_line = on_line
        self.line: tuple[str, int] = ("", 0)
        self.steps = 0
        self.limit = limit
        self.depth = 0
        self.error: BaseException | None = None  # the one that was raised last
        self.thread: Any = None  # of a kernel: lang/oracles/kernel_reference.py

    def function(self, function: Function, values: tuple[Any, ...]) -> tuple[Any, ...]:
        saved = self.env
        self.env = dict(zip(function.params, values, strict=True))
        self.depth += 1
        if self.depth > 300:
            self.depth = 0
            raise RecursionError("maximum recursion depth exceeded")
        try:
            self.region(function.body, ())
        except Exit as exit:
            if exit.kind != "return":
                raise
            return exit.values
        finally:
            self.env = saved
            self.depth -= 1
        return ()

    def region(self, region: Region, values: tuple[Any, ...]) -> tuple[Any, ...]:
        env = self.env
        env.update(zip(region.params, values, strict=True))
        for op in region.ops:
            self.steps += 1
            if self.on_line is not None and op.loc.line and (op.loc.file, op.loc.line) != self.line:
                self.line = (op.loc.file, op.loc.line)
                self.on_line(op.loc)
            rule = op.op.reference_rule
            assert rule is not None, f"operation '{op.name}' has no reference rule"
            operands = [env[v] for v in op.operands]
            if op.handler is not None or op.cleanup:
                out = self.guarded(rule, op, operands)
            elif op.op.control:
                out = rule(self, op, *operands)
                if op.name == "yield":
                    return out
            else:
                out = rule(self, op, *operands) if op.op.space == "kernel" else rule(op, *operands)
                if len(op.results) == 1:
                    env[op.results[0]] = out
                    continue
            env.update(zip(op.results, out or (), strict=True))
        return ()

    def guarded(self, rule: Callable[..., Any], op: Op, operands: list[Any]) -> Any:
        """Run an operation whose error edge leads to a handler: an exception becomes an exit to it."""
        env = self.env
        try:
            return rule(self, op, *operands)
        except (Exit, StepLimitExceeded):
            raise
        except BaseException as e:
            self.error = e
            self.counts(op)
            if op.handler is None:
                raise
        raise Exit("raise", op.handler, tuple(env[v] for v in op.edge))

    def counts(self, op: Op) -> None:
        """Retain and release what the error edge of an operation wants."""
        from sapwood.lang.ops.heap import release_value, retain_value

        for v in op.shared:
            retain_value(self.env[v], v.type)
        for v in op.cleanup:
            release_value(self, self.env[v], v.type)

    def poll(self) -> None:
        if self.steps > self.limit:
            raise StepLimitExceeded(f"more than {self.limit} steps")


def run_immediate(rule: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a typing rule on Python values and evaluate what it emits: boxed arithmetic."""
    from sapwood.lang.infer.builder import Builder
    from sapwood.lang.infer.interpreter import Interpreter
    from sapwood.lang.infer.walker import FunctionWalker

    region = Region()
    interpreter = Interpreter(reference_target())
    builder = Builder(interpreter, region)
    code = hir.FunctionDef("python", [], [], NOWHERE, frozenset(), frozenset())
    interpreter.frames.append(FunctionWalker(interpreter, builder, code, None, [], "python"))
    evaluator = Evaluator()
    result = rule(builder, *(to_abstract(a, evaluator.env) for a in args))
    evaluator.region(region, ())
    return from_abstract(result, evaluator.env)


@lru_cache(maxsize=1)
def reference_target() -> Any:
    """A machine that can do everything, for platforms that no code is made for."""
    from sapwood.targets.base import Target

    features = frozenset({"fma", "avx512bf16", "avx512vl", "f16c", "sse4.1"})
    return Target(
        "reference", "", "", features, 16,
        kernel=True, warp_size=32, shared_bytes=48 * 1024, max_shared_bytes=227 * 1024,
    )  # fmt: skip


def to_abstract(x: Any, env: dict[Var, Any]) -> Value:
    from sapwood.lang.oracles.boxed import Boxed

    if isinstance(x, Boxed) and isinstance(x.type, ty.Complex):
        items = tuple(Var(x.type.elem) for _ in x.value)
        env.update(zip(items, x.value, strict=True))
        return Agg(x.type, items)
    pointer = getattr(x, "pointer", None)
    if isinstance(pointer, Pointer):
        var = Var(ty.Ptr(pointer.elem))
        env[var] = pointer
        return var
    if isinstance(x, Boxed):
        var = Var(x.type)
        env[var] = x.value
        return var
    return Known(x)


def from_abstract(value: Value | None, env: dict[Var, Any]) -> Any:
    """A Python value of an evaluated result."""
    from sapwood.lang.oracles.boxed import box

    match value:
        case None:
            return None
        case Known(value=v):
            return v
        case Var(type=ty.Ptr()):
            from sapwood.lang.oracles.python_memory import PythonPointer

            return PythonPointer(env[value])
        case Var():
            return box(value.type, env[value])
        case Agg(type=ty.Complex() as t):
            from sapwood.lang.api.dtypes import dtype_of

            return dtype_of(t)(complex(*(float(from_abstract(i, env)) for i in value.items)))
        case Agg(type=ty.Tuple()):
            return tuple(from_abstract(i, env) for i in value.items)
        case Agg(type=ty.Struct(cls=cls, frozen=True)):
            return cls(*(from_abstract(i, env) for i in value.items))
    raise TypeError(f"cannot show a {value} in Python")


