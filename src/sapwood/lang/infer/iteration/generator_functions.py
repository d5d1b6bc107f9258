"""Generator functions: functions with `yield`.

A call gives an iterator that has not begun. What takes its items is walked in place of each `yield`, inside the loops
of the generator, whose body is walked in place as that of a nested function is: no frame is kept, nothing is called.
So a generator is run once, from its beginning, by the loop or reduction that it is given to; its items cannot be taken
one by one by somebody else.

The names of the function that runs it which may change in the meantime are *lent* to the generator's walk, under keys
like those of shared names (closures.py), so that its branches and loops carry them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.declared import Bindings
from sapwood.lang.errors import Loc, UnsupportedSyntax
from sapwood.lang.errors.iteration import GeneratorOnce, RecursiveGenerator
from sapwood.lang.front import hir
from sapwood.lang.infer.iteration.adapters import adapter
from sapwood.lang.infer.iteration.generators import Nested
from sapwood.lang.infer.names import WRITTEN
from sapwood.lang.infer.narrow import forget_places
from sapwood.lang.values import Agg, Value

if TYPE_CHECKING:
    from sapwood.lang.infer.loops import Exits, Loop
    from sapwood.lang.infer.walker import FunctionWalker as Walker


class GeneratorCode:
    """What a call of a generator function runs, once its arguments are bound."""

    owner = None  # it reads no names of the function that called it

    def __init__(
        self,
        code: hir.FunctionDef,
        python: Any,
        declared: list[Any],
        captured: dict[str, Value],
        unchecked: bool,
        typevars: Bindings | None = None,
        itself: Value | None = None,
    ) -> None:
        self.code, self.python, self.declared, self.captured = code, python, declared, captured
        self.unchecked, self.typevars, self.itself = unchecked, typevars, itself


class Generated(Nested):
    """The items that a generator function yields."""

    kind = "generator"

    def __init__(self, run: GeneratorCode, arguments: list[Value], loc: Loc) -> None:
        super(Nested, self).__init__()
        self.run, self.arguments, self.loc = run, arguments, loc

    def names(self) -> list[str]:
        return []

    def start(self, w: Walker, prefix: str) -> None:
        raise GeneratorOnce(w.b.loc, function=self.run.code.name)

    def drive(
        self,
        w: Walker,
        key: Any,
        names: list[str],
        consume: Callable[[list[Value], Exits], bool],
        other: Callable[[], bool] | None,
        breaks: bool,
        continues: bool,
    ) -> bool:
        loc = w.b.loc

        def body(loop: Loop) -> bool:
            if _Run(w, self, key, names, consume, loop, loc).walk():
                return True
            w.b.loc = loc
            return other is not None and other()

        forget_places(w.vars)
        return w.run_loop((key, "generator"), [], loc, body, once=True)


@adapter("generator function")
def _generator_function(w: Walker, value: Agg) -> Generated:
    assert isinstance(value.type, ty.Lazy)
    return Generated(value.type.code, list(value.items), w.b.loc)


class _Run:
    """One walk through a generator's body, in the loop `outer` around it, which `break` leaves."""

    def __init__(
        self,
        w: Walker,
        it: Generated,
        key: Any,
        names: list[str],
        consume: Callable[[list[Value], Exits], bool],
        outer: Loop,
        loc: Loc,
    ) -> None:
        self.w, self.it, self.key, self.consume, self.outer, self.loc = w, it, key, consume, outer, loc
        self.guard, self.unchecked = w.b.guard, w.b.unchecked
        place = f"{len(w.interp.frames)}.{loc.line}.{loc.col}"
        keys = dict.fromkeys(w.keys.get(n, n) for n in names)
        shared = w.shared()
        self.lending = {f"{n}{WRITTEN}{place}": n for n in keys if n in w.vars and n not in shared}
        self.around = shared | {m: w.vars[n] for m, n in self.lending.items()}
        self.count = 0

    def walk(self) -> bool:
        """True when control does not come out of the generator's end."""
        from sapwood.lang.infer.walker import FunctionWalker

        w, run = self.w, self.it.run
        if any(f.code is run.code and f.on_yield is not None for f in w.interp.frames):
            raise RecursiveGenerator(self.it.loc, function=run.code.name)
        inner = FunctionWalker(
            w.interp, w.b, run.code, run.python, run.declared, run.code.name, run.captured, run.typevars, run.itself
        )
        inner.called_at = (self.loc.line, self.loc.col)
        inner.on_yield = lambda value, loc: self.take(inner, value, loc)
        inner.lending = self.lending
        w.interp.enter_inline(run.code.name, self.loc)
        w.interp.open_exits.append(w.returns)  # loops of the generator are walked again: with the returns inside
        self.own = inner.enter(self.around)
        self.before = dict(w.vars)
        self.callee, w.callee = w.callee, inner
        self.suspended = w.suspended
        w.vars, w.suspended = dict(self.around), self.before if self.suspended is None else self.suspended
        w.b.unchecked = run.unchecked
        try:
            dead = w.run_loop((id(run.code), "generator"), [], self.loc, lambda loop: self.body(inner, loop), once=True)
            result = w.vars
        finally:
            w.vars, w.suspended, w.callee = self.before, self.suspended, self.callee
            w.b.unchecked, w.b.loc = self.unchecked, self.loc
            w.interp.frames.pop()
            w.interp.leave_inline()
            w.interp.open_exits.pop()
        if not dead:
            self.give_back(w.vars, result)
        return dead

    def body(self, inner: Walker, loop: Loop) -> bool:
        inner.returns = []
        inner.bind_parameters(self.it.arguments)
        inner.collect_returns()
        gone = set(self.own.values())
        for region, _, _, names in inner.returns:
            loop.breaks.append((region, {n: v for n, v in names.items() if n in self.around and n not in gone}))
        return True

    def give_back(self, names: dict[str, Value], result: dict[str, Value]) -> None:
        """Shared and lent names, as they are in the generator's walk, to the function that runs it."""
        for n, v in result.items():
            if n in self.around:
                names[self.lending.get(n, n)] = v

    def take(self, inner: Walker, value: Value, loc: Loc) -> bool:
        """Walk what takes the items in place of a `yield`; True when control does not come back."""
        w = self.w
        if w.b.guard is not self.guard or any(c.unwind is not None for c in inner.contexts):
            hint = "put the yield behind it, or collect the items in a list first"
            raise UnsupportedSyntax(loc, what="yield inside try or with", hint=hint)
        self.count += 1
        state = w.vars, w.suspended, w.callee
        w.vars, w.suspended, w.callee = dict(self.before), self.suspended, self.callee
        self.give_back(w.vars, inner.vars)
        frame = w.interp.frames.pop()
        w.b.unchecked, w.b.loc = self.unchecked, self.loc
        try:
            key = (self.key, "yield", self.count)
            dead = w.run_loop(key, [], self.loc, lambda loop: self.one(value, loop), once=True)
            after = w.vars
        finally:
            w.vars, w.suspended, w.callee = state
            w.interp.frames.append(frame)
            w.b.unchecked, w.b.loc = self.it.run.unchecked, loc
        if dead:
            return True
        forget_places(inner.vars)
        for n in self.around:
            inner.vars[n] = after[self.lending.get(n, n)]
        return False

    def one(self, value: Value, loop: Loop) -> bool:
        from sapwood.lang.infer.loops import Exits

        return self.consume([value], Exits(self.outer.breaks, loop.breaks))
