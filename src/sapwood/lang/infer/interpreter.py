"""The compilation of one unit: instances of functions, their names, and what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Protocol, TypeVar

from sapwood.lang.declared import ANY, Declared
from sapwood.lang.errors import CallTooDeep, CompileError, Loc
from sapwood.lang.front.ast2hir import lower_function
from sapwood.lang.front.hir import FunctionDef
from sapwood.lang.infer.builder import Builder
from sapwood.lang.ir.ssa import Function, Op, Program, Region, Var
from sapwood.lang.join import Clash, join, storable
from sapwood.lang.passes.borrow import borrow_loads
from sapwood.lang.passes.ownership import insert_ownership
from sapwood.lang.signatures import declare_parameter, declared_parameters, evaluate_annotation
from sapwood.lang.types import HeapType
from sapwood.lang.values import Site, Spec, Value, rebuild, sites_of, spec_of

R = TypeVar("R")


class CompiledFunction(Protocol):
    """What inference needs of a decorated function (see lang/function.py)."""

    @property
    def __wrapped__(self) -> FunctionType: ...

    options: Any


@dataclass(eq=False)
class Instance:
    """A function for given argument specs."""

    fn: Any
    specs: tuple[Spec, ...]
    function: Function
    key: Any
    result: Spec | None = None  # None while its body is being walked
    endless: bool = False  # it never returns: it raises, or runs for ever
    constants: dict[str, Var] = field(default_factory=dict)  # containers of the module that it reads
    plain: bool = False  # its result is what the annotation says, without characters: others than calls ask for it
    callees: list[Instance] = field(default_factory=list)
    links: dict[str, Any] = field(default_factory=dict)  # units that it calls
    relies_on: set[Any] = field(default_factory=set)  # sites and recursive functions of which it used what is known


@dataclass
class Dependencies:
    """What the compiled code was made from, for the cache: functions and captured globals."""

    functions: dict[tuple[str, str], str] = field(default_factory=dict)
    constants: dict[tuple[str, str], str] = field(default_factory=dict)
    cacheable: bool = True


INLINE_LIMIT = 64


WALKS = 64  # of one unit, until all that was learned on the way is known from its beginning


class Interpreter:
    """Walks functions and makes SSA of them. One per compilation unit."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.dependencies = Dependencies()
        self.kernel: Any = None  # the kernel that this unit is; everything it calls is inlined into it
        self.parameters: list[Any] = []  # of the entry
        self.tensor_maps: list[Any] = []  # that the kernel needs (ops/gpu/tensor_copies.py)
        self.sites: dict[Any, Site] = {}  # empty containers: what goes into them is learned on the way
        self.changes: list[Any] = []  # what this walk learned
        self.heap_classes: set[type] = set()  # mutable structs whose objects outlive the frame that made them
        self.results: dict[Any, Spec] = {}  # of recursive functions without annotation
        self.made = 0  # instances, for their names
        self.kept: dict[Any, Instance] = {}  # instances of earlier walks that those taught nothing about
        self._begin()

    def _begin(self) -> None:
        """Forget a walk, but not what it learned."""
        self.instances: dict[Any, Instance] = {}
        self.order: list[Instance] = []
        self.open: list[Instance] = []  # those that are being walked
        self.drops: dict[HeapType, Function] = {}
        self.links: dict[str, Any] = {}
        self.inline_depth = 0
        self.frames: list[Any] = []
        self.loop_hints: dict[Any, Any] = {}
        self.places: dict[Var, Any] = {}  # results of look-ups in dicts -> (dict, leaves of the key)
        self.waiting: dict[Any, CompileError] = {}  # instances that were called before their result was known
        self.expecting: set[Any] = set()  # instances whose expected result was used
        self.defaults: tuple[str, ...] = ()  # the fields whose default is being made: all stand at one place
        self.open_lists: list[Loc] = []  # the places where lists are being made
        self.open_exits: list[list[Any]] = []  # those of the loops that are being walked
        self.closure_scopes: dict[Any, Any] = {}
        self.exact = False  # whether an int is no float when arguments are made
        self.table: Any = None  # heap types of the arguments from Python (heap_border.Table)
        self.changes.clear()

    def heap_table(self, target: HeapType) -> None:
        """Enter the heap type of an argument from Python."""
        from sapwood.lang.border.heap_description import Table

        if self.table is None:
            self.table = Table()
        self.table.add(target)
        for kind in list(self.table.kinds):
            self.drop_function(kind)

    def settle(self, walk: Callable[[], R]) -> R:
        """Walk, and walk again as long as a walk learns something about its beginning at its end.

        An error of a walk that learned something is not believed: it may come from what was not known yet.
        """
        from sapwood.lang.memory_layout import NeedsHeap, compiling

        for _ in range(WALKS):
            self._begin()
            try:
                with compiling(self):
                    result = walk()
            except NeedsHeap as e:
                if self.kernel is not None or e.cls in self.heap_classes:
                    raise
                self.heap_classes.add(e.cls)
                self.kept = {}
                continue
            except CompileError:
                if not self.changes:
                    raise
            else:
                if not self.changes:
                    return result
            self._keep()
        raise RuntimeError("the types of this function do not settle")

    def _keep(self) -> None:
        """Keep what the next walk would find again: instances that rely on nothing which this walk changed."""
        learned = {c.key if isinstance(c, Instance) else c for c in self.changes}
        size = -1
        while size != len(learned):  # what goes into one container may be another
            size = len(learned)
            learned |= {s for s in self.sites.values() if s.spec and not learned.isdisjoint(sites_of(s.spec))}
        candidates = {**self.kept, **self.instances}
        kept = {k: i for k, i in candidates.items() if i.result is not None and i.relies_on.isdisjoint(learned)}
        size = -1
        while size != len(kept):  # whoever calls one that is not kept is not kept
            size = len(kept)
            kept = {k: i for k, i in kept.items() if all(kept.get(c.key) is c for c in i.callees)}
        self.kept = kept

    def site(self, loc: Loc, what: str = "") -> Site:
        """The empty container that is made at `loc` in the present context of calls; `what`: which one of several."""
        path: list[Any] = [loc.line, loc.col, what, *self.defaults]
        for walker in reversed(self.frames):
            path.append((id(walker.code), walker.called_at))
            if walker.instance is not None:
                path.append((id(walker.instance.fn), walker.instance.specs))
                break
        key = tuple(path)
        if key not in self.sites:
            self.sites[key] = Site(self.changes)
        self._rely_on(self.sites[key])
        return self.sites[key]

    def _rely_on(self, what: Any) -> None:
        if self.open:
            self.open[-1].relies_on.add(what)

    # -- results of recursive functions -----------------------------------------------------------

    def expected_result(self, instance: Instance, walker: Any, error: CompileError) -> Spec:
        """The result of a call in a cycle that no annotation tells: what an earlier walk has found.

        In the first walk such a call is where its path ends; the other paths tell.
        """
        self._rely_on(instance.key)
        found = self.results.get(instance.key)
        if found is None:
            from sapwood.lang.infer.heap import Dead
            from sapwood.lang.ops import control

            self.waiting[instance.key] = error
            walker.b.emit(control.raise_, (), (), {"exception": RecursionError, "parts": []})
            raise Dead
        self.expecting.add(instance.key)
        return found

    def settle_result(self, instance: Instance, spec: Spec, returns: bool) -> Spec:
        """The result of a function at the end of its walk, which the calls in its cycle have to agree with."""
        error = self.waiting.pop(instance.key, None)
        if error is None and instance.key not in self.expecting:
            return spec
        if error is not None and not returns:
            raise error
        spec = storable(spec)
        before = self.results.get(instance.key)
        if before is not None:
            try:
                spec = join(before, spec)
            except Clash:
                pass
        if spec != before:
            self.results[instance.key] = spec
            self.changes.append(instance)
        return spec

    def drop_function(self, target: HeapType) -> Function:
        """The function that ends an object of a heap type."""
        from sapwood.lang.infer.heap import drop_rule

        if target not in self.drops:
            fn, arguments = drop_rule(target)
            self.drops[target] = self.instance(fn, arguments).function
        return self.drops[target]

    # -- entry ------------------------------------------------------------------------------------

    def compile(self, fn: Any, arguments: tuple[Value, ...], name: str) -> Program:
        """The program whose entry is `fn` with these arguments; leaves of them are its parameters."""
        instance = self.settle(lambda: self.instance(fn, arguments, name, plain=True))
        functions = [i.function for i in self.order]
        functions.sort(key=lambda f: f is not instance.function)
        finish(functions)
        program = Program(instance.function, functions, self.links, self.target)
        program.entry.attrs["result"] = instance.result
        return program

    def instance(self, fn: Any, arguments: tuple[Value, ...], name: str = "", plain: bool = False) -> Instance:
        """The instance of `fn` for the specs of the arguments, compiled now if it is new."""
        from sapwood.lang.infer.walker import FunctionWalker
        from sapwood.lang.loading.fingerprint import symbol_name

        specs = tuple(spec_of(a) for a in arguments)
        key = (id(fn), specs, plain and not name)
        known = self.known(key)
        if known is not None:
            return known
        python = fn.__wrapped__
        name = name or self.name(symbol_name(python))
        params = [Var(t) for s in specs for t in s.leaves()]
        leaves = iter(params)
        values = [rebuild(s, leaves) for s in specs]
        body = Region()
        hir = self.hir(fn)
        function = Function(name, tuple(params), (), body, "host", hir.loc)
        instance = Instance(fn, specs, function, key, plain=plain)
        builder = Builder(self, body)
        builder.unchecked = fn.options.unchecked
        walker = FunctionWalker(self, builder, hir, python, declared_parameters(fn), name=python.__name__)
        with self.walking(instance):
            walker.run_instance(instance, values)
        return instance

    def name(self, symbol: str) -> str:
        """A name for the function of another instance."""
        self.made += 1
        return f"{symbol}.{self.made}"

    def known(self, key: Any) -> Instance | None:
        """The instance of a key, if there is one; for a call of it."""
        found = self.instances.get(key)
        if found is None and key in self.kept:
            found = self.kept[key]
            self._restore(found)
        if found is not None:
            if found.result is None:
                found.function.recursive = True
            self._note_call(found)
        return found

    def _restore(self, instance: Instance) -> None:
        """Enter an instance of an earlier walk, and those that it calls."""
        if instance.key not in self.instances:
            self.instances[instance.key] = instance
            self.order.append(instance)
            self.links |= instance.links
            for callee in instance.callees:
                self._restore(callee)

    def _note_call(self, callee: Instance) -> None:
        if self.open:
            self.open[-1].callees.append(callee)
            self.open[-1].relies_on |= callee.relies_on

    @contextmanager
    def walking(self, instance: Instance) -> Iterator[None]:
        """While the body of an instance is walked, which is entered as one that there is."""
        self.instances[instance.key] = instance
        self.order.append(instance)
        for spec in instance.specs:
            instance.relies_on.update(sites_of(spec))
        self.open.append(instance)
        begin = len(self.changes)
        try:
            yield
        except BaseException:  # a caller may try again, and must not find one that is half made
            del self.instances[instance.key]
            self.order.remove(instance)
            raise
        finally:
            instance.relies_on.update(c.key if isinstance(c, Instance) else c for c in self.changes[begin:])
            self.open.pop()
            self._note_call(instance)

    def link(self, unit: Any) -> None:
        """Note that code which is being walked calls a unit."""
        self.links[unit.symbol] = unit
        if self.open:
            self.open[-1].links[unit.symbol] = unit

    def hir(self, fn: Any) -> FunctionDef:
        self.depend_on(fn)
        return lower_function(fn.__wrapped__)

    # -- calls made by typing rules ---------------------------------------------------------------

    def call_function(self, fn: Any, arguments: tuple[Value, ...]) -> Value:
        """Call a library function from a typing rule."""
        return self.frames[-1].call_compiled(fn, list(arguments), {})

    def enter_inline(self, name: str, loc: Loc) -> None:
        self.inline_depth += 1
        if self.inline_depth > INLINE_LIMIT:
            raise CallTooDeep(loc, function=name, limit=INLINE_LIMIT)

    def leave_inline(self) -> None:
        self.inline_depth -= 1

    # -- dependencies -----------------------------------------------------------------------------

    def depend_on(self, fn: Any) -> None:
        from sapwood.lang.loading.fingerprint import fingerprint

        python = fn.__wrapped__
        key = (python.__module__, python.__qualname__)
        if key not in self.dependencies.functions and not python.__module__.startswith("sapwood.lang."):
            self.dependencies.functions[key] = fingerprint(fn)

    def depend_on_constant(self, module: str, name: str, value: Any) -> None:
        from sapwood.lang.loading.fingerprint import describe_constant

        key = (module, name)
        if key not in self.dependencies.constants and not module.startswith("sapwood.lang."):  # the compiler's own key
            self.dependencies.constants[key] = describe_constant(value)


def require_stack_check(instance: Instance) -> None:
    """A function that may be called in a cycle looks whether there is stack left."""
    from sapwood.lang.ops import control

    function = instance.function
    if instance.result is not None and not function.recursive:
        assert function.loc is not None
        attrs = {"exception": RecursionError, "message": "maximum recursion depth exceeded"}
        function.body.ops.insert(0, Op(control.check_stack, (), (), attrs, (), function.loc))
    function.recursive = True


def finish(functions: list[Function]) -> None:
    """What is known of functions only once all of them are walked: which raise, and who releases what."""
    _mark_raising(functions)
    insert_ownership(functions)
    borrow_loads(functions)


def _mark_raising(functions: list[Function]) -> None:
    """may_raise: a function with an error edge that leaves it. A fixpoint over the call graph. Calls of functions
    that do not raise lose the edges that they had in case of it."""
    leaving = {f: list(f.body.leaving()) for f in functions}
    changed = True
    while changed:
        changed = False
        for f, ops in leaving.items():
            if not f.may_raise and any(op.may_raise for op in ops):
                f.may_raise = changed = True
    for f in functions:
        for op in f.body.walk():
            if op.handler is not None and not op.may_raise:
                op.handler, op.edge = None, ()


def declare_parameters(hir: FunctionDef, python: FunctionType | None, nested: bool = False) -> list[Declared]:
    """What the annotations say; a parameter that has none takes anything."""
    out = []
    for p in hir.params:
        if p.annotation is None:
            out.append(ANY)
        else:
            text = p.annotation.value  # type: ignore[attr-defined]
            annotation = evaluate_annotation(text, python, p.loc, p.name, own=not nested)
            out.append(declare_parameter(annotation, hir.name, p.name, p.loc))
    return out


