"""The table of operations: what one entry holds and how it is written.

An entry is a typed public signature with a docstring, and beside it up to four rules::

    @operation(pure=True)
    def fma(a: T, b: T, c: T) -> T:
        "a * b + c, rounded once."

    @fma.typing                     # abstract arguments -> abstract result; emits SSA
    def _(b: Builder, x, y, z): ...

    @fma.reference                  # the meaning: Python values of the operands -> of the results
    def _(op, x, y, z): ...

    @fma.lowering                   # operand texts -> LLVM text of the result
    def _(e: Emitter, op, x, y, z): ...

    @fma.legality                   # optional: why a target cannot do this instance, or None
    def _(target, op): ...

Reference rules of entries with `space="kernel"` get the evaluator as well: `reference(ev, op, x, y)`; `ev.thread`
and, in lowering rules, `e.thread` are the thread of the kernel.

Entries without `typing` are internal: only inference emits them. Entries without `reference` and `lowering`
are library-level: their typing rule emits other entries.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Rule = Callable[..., Any]

OPERATIONS: dict[str, Operation[..., Any]] = {}


class Operation(Generic[P, R]):
    """One operation of the language (or, when it has no typing rule, of the SSA)."""

    def __init__(
        self, stub: Callable[P, R], name: str, pure: bool, control: bool, space: str, varies: bool, raises: bool,
        consumes: bool,
    ) -> None:
        self.stub = stub
        self.name = name
        self.pure = pure
        self.control = control  # owns regions or ends one: its rules get the evaluator, the emitter
        self.space = space  # "any", "host" or "kernel": the kind of function that it may appear in
        self.varies = varies  # whether threads of a block may get different results from equal operands
        self.raises = raises  # whether it may raise, and so has an error edge; its lowering leaves through e.fail(op)
        self.consumes = consumes  # whether it takes over the references among its operands
        self.type_rule: Rule | None = None
        self.reference_rule: Rule | None = None
        self.lowering_rule: Rule | None = None
        self.legality_rule: Rule | None = None
        self.python_rule: Rule | None = None
        self.__doc__ = stub.__doc__
        self.__name__ = stub.__name__
        self.__qualname__ = stub.__qualname__
        self.__module__ = stub.__module__
        self.__wrapped__ = stub
        self.signature = inspect.signature(stub)

    def typing(self, rule: Rule) -> Rule:
        self.type_rule = rule
        return rule

    def reference(self, rule: Rule) -> Rule:
        self.reference_rule = rule
        return rule

    def lowering(self, rule: Rule) -> Rule:
        self.lowering_rule = rule
        return rule

    def legality(self, rule: Rule) -> Rule:
        self.legality_rule = rule
        return rule

    def python(self, rule: Rule) -> Rule:
        """Meaning in plain CPython, where it is not simply the reference rule on boxed values."""
        self.python_rule = rule
        return rule

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.python_rule is not None:
            return self.python_rule(*args, **kwargs)
        from sapwood.lang.oracles.boxed import apply

        return apply(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


def operation(
    *,
    name: str | None = None,
    pure: bool = False,
    control: bool = False,
    space: str = "any",
    varies: bool = False,
    raises: bool = False,
    consumes: bool = False,
) -> Callable[[Callable[P, R]], Operation[P, R]]:
    """Enter a function into the table; see the module's text."""

    def enter(stub: Callable[P, R]) -> Operation[P, R]:
        op = Operation(stub, name or stub.__name__.rstrip("_"), pure, control, space, varies, raises, consumes)
        if op.name in OPERATIONS:
            raise ValueError(f"operation '{op.name}' is defined twice")
        OPERATIONS[op.name] = op
        return op

    return enter
