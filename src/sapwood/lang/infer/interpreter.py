"""The compilation of one unit: instances of functions, their names, and what they depend on."""

from __future__ import annotations

import builtins
import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, Protocol, TypeVar

from sapwood.lang.errors import CallTooDeep, CompileError, Loc
from sapwood.lang.front.ast2hir import lower_function
from sapwood.lang.front.hir import FunctionDef
from sapwood.lang.hints import TYPES
from sapwood.lang.infer.builder import Builder
from sapwood.lang.infer.declared import ANY, Declared, declare
from sapwood.lang.infer.join import Clash, join, storable
from sapwood.lang.ir.ssa import Function, Op, Program, Region, Var
from sapwood.lang.passes.borrow import borrow_loads
from sapwood.lang.passes.ownership import insert_ownership
from sapwood.lang.types import HeapType
from sapwood.lang.values import Site, Spec, Value, rebuild, spec_of

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
    plain: bool = False  # its result is what the annotation says, without characters: others than calls ask for it


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
        self.sites: dict[Any, Site] = {}  # empty containers: what goes into them is learned on the way
        self.changes: list[Any] = []  # what this walk learned
        self.heap_classes: set[type] = set()  # mutable structs whose objects outlive the frame that made them
        self.results: dict[Any, Spec] = {}  # of recursive functions without annotation
        self._begin()

    def _begin(self) -> None:
        """Forget a walk, but not what it learned."""
        self.instances: dict[Any, Instance] = {}
        self.order: list[Instance] = []
        self.made = 0  # instances, for their names
        self.drops: dict[HeapType, Function] = {}
        self.links: dict[str, Any] = {}
        self.inline_depth = 0
        self.frames: list[Any] = []
        self.loop_hints: dict[Any, Any] = {}
        self.waiting: dict[Any, CompileError] = {}  # instances that were called before their result was known
        self.expecting: set[Any] = set()  # instances whose expected result was used
        self.open_exits: list[list[Any]] = []  # those of the loops that are being walked
        self.closure_scopes: dict[Any, Any] = {}
        self.exact = False  # whether an int is no float when arguments are made
        self.table: Any = None  # heap types of the arguments from Python (heap_border.Table)
        self.changes.clear()

    def heap_table(self, target: HeapType) -> None:
        """Enter the heap type of an argument from Python."""
        from sapwood.lang.heap_border import Table

        if self.table is None:
            self.table = Table()
        self.table.add(target)
        for kind in list(self.table.kinds):
            self.drop_function(kind)

    def settle(self, walk: Callable[[], R]) -> R:
        """Walk, and walk again as long as a walk learns something about its beginning at its end.

        An error of a walk that learned something is not believed: it may come from what was not known yet.
        """
        from sapwood.lang.infer.heap_structs import NeedsHeap, compiling

        for _ in range(WALKS):
            self._begin()
            try:
                with compiling(self):
                    result = walk()
            except NeedsHeap as e:
                if self.kernel is not None or e.cls in self.heap_classes:
                    raise
                self.heap_classes.add(e.cls)
                continue
            except CompileError:
                if not self.changes:
                    raise
                continue
            if not self.changes:
                return result
        raise RuntimeError("the types of this function do not settle")

    def site(self, loc: Loc, what: str = "") -> Site:
        """The empty container that is made at `loc` in the present context of calls; `what`: which one of several."""
        path: list[Any] = [loc.line, loc.col, what]
        for walker in reversed(self.frames):
            path.append((id(walker.code), walker.called_at))
            if walker.instance is not None:
                path.append((id(walker.instance.fn), walker.instance.specs))
                break
        key = tuple(path)
        if key not in self.sites:
            self.sites[key] = Site(self.changes)
        return self.sites[key]

    # -- results of recursive functions -----------------------------------------------------------

    def expected_result(self, instance: Instance, walker: Any, error: CompileError) -> Spec:
        """The result of a call in a cycle that no annotation tells: what an earlier walk has found.

        In the first walk such a call is where its path ends; the other paths tell.
        """
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
        from sapwood.lang.fingerprint import symbol_name
        from sapwood.lang.infer.walker import FunctionWalker

        specs = tuple(spec_of(a) for a in arguments)
        key = (id(fn), specs, plain and not name)
        known = self.instances.get(key)
        if known is not None:
            if known.result is None:
                known.function.recursive = True
            return known
        python = fn.__wrapped__
        if not name:
            name = f"{symbol_name(python)}.{self.made}"
        self.made += 1
        params = [Var(t) for s in specs for t in s.leaves()]
        leaves = iter(params)
        values = [rebuild(s, leaves) for s in specs]
        body = Region()
        hir = self.hir(fn)
        function = Function(name, tuple(params), (), body, "host", hir.loc)
        instance = Instance(fn, specs, function, key, plain=plain)
        self.instances[key] = instance
        self.order.append(instance)
        builder = Builder(self, body)
        builder.unchecked = fn.options.unchecked
        walker = FunctionWalker(self, builder, hir, python, declared_parameters(fn), name=python.__name__)
        try:
            walker.run_instance(instance, values)
        except BaseException:  # a caller may try again, and must not find one that is half made
            del self.instances[key]
            self.order.remove(instance)
            raise
        return instance

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
        from sapwood.lang.fingerprint import fingerprint

        python = fn.__wrapped__
        key = (python.__module__, python.__qualname__)
        if key not in self.dependencies.functions and not python.__module__.startswith("sapwood.lang."):
            self.dependencies.functions[key] = fingerprint(fn)

    def depend_on_constant(self, module: str, name: str, value: Any) -> None:
        from sapwood.lang.fingerprint import describe_constant

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


_DECLARED: dict[Any, list[Declared]] = {}


def declared_parameters(fn: Any) -> list[Declared]:
    """Declared types of a function's parameters, evaluated once; ANY where a lambda has none."""
    found = _DECLARED.get(fn.__wrapped__)
    if found is None:
        hir = lower_function(fn.__wrapped__)
        found = declare_parameters(hir, fn.__wrapped__)
        _DECLARED[fn.__wrapped__] = found
    return found


def declare_parameters(hir: FunctionDef, python: FunctionType | None, nested: bool = False) -> list[Declared]:
    """What the annotations say; a parameter that has none takes anything."""
    out = []
    for p in hir.params:
        if p.annotation is None:
            out.append(ANY)
        else:
            text = p.annotation.value  # type: ignore[attr-defined]
            annotation = evaluate_annotation(text, python, p.loc, p.name, own=not nested)
            anything = annotation is object and hir.name.startswith("__")  # `def __eq__(self, other: object)`
            out.append(ANY if anything else declare(annotation, p.name, p.loc))
    return out


def evaluate_annotation(text: str, python: FunctionType | None, loc: Loc, name: str, own: bool = True) -> Any:
    """Evaluate an annotation as Python would at the definition; `own`: it is one of the function `python` itself."""
    from sapwood.lang.errors import BadAnnotation

    if python is None:
        raise BadAnnotation(loc, name=name, found=text, hint=TYPES)
    found = python.__annotations__.get(name) if own else None
    if found is not None and not isinstance(found, str):
        return found
    scope = dict(python.__globals__)
    from sapwood.lang.function import class_scopes

    scope.update(class_scopes.get(python, {}))
    scope.update({p.__name__: p for p in getattr(python, "__type_params__", ())})
    for cell_name, cell in zip(python.__code__.co_freevars, python.__closure__ or (), strict=True):
        try:
            scope[cell_name] = cell.cell_contents
        except ValueError:
            continue
    try:
        value = eval(text, scope)
    except CompileError:
        raise
    except Exception as e:
        hint = TYPES
        if isinstance(e, NameError) and e.name is not None:
            close = difflib.get_close_matches(e.name, [*scope, *dir(builtins)], 1)
            hint = f"did you mean '{close[0]}'?" if close else f"'{e.name}' is not defined; import or define it"
        raise BadAnnotation(loc, name=name, found=text, hint=hint) from None
    return eval(value, scope) if isinstance(value, str) else value


