"""`@fn` and `@kernel`: decorated functions, their specialisations, and the slow path of a call.

A decorated function is one `NativeFunction` (runtime/callable.py). Calls go to native entries that test the
arguments' types; what no entry takes comes to `_slow` here: keywords and defaults, new types (compile),
structs and tuples (flatten), and mistakes (diagnostics).
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from inspect import Parameter
from types import CellType, CodeType, FunctionType
from typing import Any, Protocol, TypeVar, overload
from weakref import WeakKeyDictionary

from sapwood.lang.border.parameters import flatten, spread, spread_names, star_index
from sapwood.lang.errors import (
    BadArgument,
    BadDecorator,
    CompileError,
    NoGrid,
    NoLaunch,
    TooManySpecialisations,
)
from sapwood.lang.immutable import immutable
from sapwood.lang.recursion import deeply
from sapwood.lang.sources import remember

R = TypeVar("R")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)

MAX_SPECIALISATIONS = 64


@immutable
class Options:
    """What a decorator was told."""

    unchecked: bool = False  # no bounds, zero or overflow checks
    inline: bool = False  # always inlined into compiled callers
    unit: bool = False  # compiled as a unit of its own that callers link to
    nogil: bool = False  # release the GIL around calls from Python
    restrict: bool = False  # tensor arguments do not overlap
    kernel: bool = False
    erases: str = ""  # "elements" or "values": what of containers its code does not depend on (infer/erasure.py)


class LibraryFunction:
    """A function that exists in compiled code only: methods, wrapped lambdas."""

    __sapwood_function__ = True

    def __init__(self, python: FunctionType, options: Options) -> None:
        self.__wrapped__ = python
        self.__name__ = python.__name__
        self.options = options

    def __repr__(self) -> str:
        return f"<compiled {self.__wrapped__.__qualname__}>"


_methods: dict[FunctionType, LibraryFunction] = {}


class_scopes: WeakKeyDictionary[FunctionType, dict[str, Any]] = WeakKeyDictionary()  # what annotations of methods see


def method_function(python: FunctionType, owner: type | None = None) -> LibraryFunction:
    """The compiled form of a struct's method; `owner` is the class that it was written in."""
    if owner is not None:
        parameters = {p.__name__: p for p in getattr(owner, "__type_params__", ())}
        class_scopes.setdefault(python, {owner.__name__: owner, **parameters})
    if python not in _methods:
        _methods[python] = LibraryFunction(python, Options(inline=True))
    return _methods[python]


def is_compiled(x: Any) -> bool:
    """Whether `x` is a function decorated with @fn or @kernel."""
    return getattr(type(x), "__sapwood_function__", False)


# code and globals of functions that were passed -> what each of them had captured, and its compiled form
_passed: dict[tuple[CodeType, int], list[tuple[tuple[Any, ...], LibraryFunction]]] = {}
_NOTHING = object()  # in a cell that is empty


def wrap_function(x: Any) -> Any:
    """A function argument as something compiled code can call.

    A lambda that is made anew for each call is one function as long as it captures the same values.
    """
    if is_compiled(x) or not isinstance(x, FunctionType):
        return x
    if x in class_scopes or x in _methods:
        return method_function(x)
    captured = _captured(x)
    known = _passed.setdefault((x.__code__, id(x.__globals__)), [])
    for values, function in known:
        if _same(values, captured):
            return function
    function = LibraryFunction(_with_cells_of_its_own(x) if x.__closure__ else x, Options(inline=True))
    known.append((captured, function))
    return function


def _captured(x: FunctionType) -> tuple[Any, ...]:
    """The contents of its cells; then its defaults, and what the module has under the names that it reads."""
    cells = []
    for cell in x.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:
            cells.append(_NOTHING)
    read = (x.__globals__.get(name, _NOTHING) for name in _names(x.__code__))
    return (*cells, *(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values(), *read)


@functools.lru_cache(maxsize=4096)
def _names(code: CodeType) -> tuple[str, ...]:
    inner = (name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c))
    return (*code.co_names, *inner)


def _same(a: Any, b: Any) -> bool:
    """Whether two captured values are the same constant."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) in (int, float, complex, str, bytes) and repr(a) == repr(b)


def _with_cells_of_its_own(x: FunctionType) -> FunctionType:
    """A copy that does not see when a captured name is assigned again."""
    cells = tuple(CellType() if v is _NOTHING else CellType(v) for v in _captured(x)[: len(x.__closure__ or ())])
    copy = FunctionType(x.__code__, x.__globals__, x.__name__, x.__defaults__, cells)
    copy.__kwdefaults__, copy.__qualname__, copy.__module__ = x.__kwdefaults__, x.__qualname__, x.__module__
    copy.__annotations__ = x.__annotations__
    copy.__dict__.update(x.__dict__)
    return copy


class State:
    """The Python side of one decorated function."""

    def __init__(self, python: FunctionType, options: Options) -> None:
        self.python = python
        self.options = options
        self.signature = inspect.signature(python)
        kinds = [p.kind for p in self.signature.parameters.values()]
        keywords = kinds.count(Parameter.KEYWORD_ONLY)
        self.star = star_index(self.signature)
        self.positional = -1 if keywords or self.star >= 0 else len(kinds)  # arguments of a call that binds by itself
        self.slots = [(p.name, p.default) for p in self.signature.parameters.values()]
        self.by_position = kinds.count(Parameter.POSITIONAL_ONLY)
        self.specialisations: dict[Any, Any] = {}
        self.units: dict[Any, Any] = {}
        self.programs: dict[Any, Any] = {}  # of the reference evaluator
        self.launches: dict[Any, Any] = {}  # of a kernel: configuration -> Launch
        self.launchers: dict[Any, Any] = {}  # of a kernel: CUDA device -> what launches it there
        self.lock = threading.RLock()
        self.native: Any = None
        self.native_of_calls: Any = None  # whose chain of entries calls come through: another's, for an overload
        self.overloads: list[Any] = []  # further bodies (lang/overloads.py)

    def completed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        """All arguments of a call in order of the parameters, so that an entry can take them; None where only `bind`
        can tell what they are, or what is wrong with them."""
        count = len(args)
        if count > self.positional or count < self.by_position and kwargs:
            return None
        out = list(args)
        used = 0
        for name, default in self.slots[count:]:
            if name in kwargs:
                out.append(kwargs[name])
                used += 1
            elif default is Parameter.empty:
                return None
            else:
                out.append(default)
        return tuple(out) if used == len(kwargs) else None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        if kwargs or len(args) != self.positional:
            try:
                bound = self.signature.bind(*args, **kwargs)
            except TypeError as e:
                raise TypeError(f"{self.python.__name__}() {e}") from None
            bound.apply_defaults()
            return flatten(list(bound.arguments.values()), self.star)
        return list(args)

    @deeply
    def classify(self, values: list[Any], explain: bool = True) -> list[Any]:
        """The kinds of the arguments; `explain`: a mistake names the place of the parameter's declaration."""
        from sapwood.lang.border.classify import classify
        from sapwood.lang.signatures import declared_parameters

        declared = spread(declared_parameters(self.native), self.star, len(values))
        names = spread_names(self.signature, len(values))
        name = self.python.__name__
        out = []
        for i, (d, v, p) in enumerate(zip(declared, values, names, strict=True)):
            try:
                out.append(classify(d, v, p, name, wrap_function))
            except BadArgument as e:
                if explain:
                    from sapwood.lang.front.ast2hir import lower_function

                    params = spread(lower_function(self.python).params, self.star, len(values))
                    e.notes = (("declared here", params[i].loc),)
                raise
        return out

    @deeply
    def specialise(self, arguments: list[Any]) -> Any:
        """The loaded specialisation for classified arguments: known, from the cache, or compiled now."""
        from sapwood.lang.loading.load import load_entry

        key = (tuple(arguments), _target_key(self.options.kernel))
        with self.lock:
            found = self.specialisations.get(key)
            if found is None:
                if len(self.specialisations) >= MAX_SPECIALISATIONS:
                    raise TooManySpecialisations(
                        None, function=self.python.__name__, count=len(self.specialisations)
                    )
                found = self.specialisations[key] = load_entry(self.native, arguments)
                found.attach(self.native_of_calls or self.native)
            return found


def _target_key(kernel: bool) -> str:
    from sapwood.lang.loading.current_target import current_target, kernel_target

    return (kernel_target() if kernel else current_target()).key


def _slow(state: State, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if state.options.kernel:
        raise NoGrid(None, name=state.python.__name__)
    if inspect.isgeneratorfunction(state.python):  # compiled into those that run it; for Python it is Python's
        return state.python(*args, **kwargs)
    if (kwargs or len(args) != state.positional) and state.specialisations and not state.overloads:
        whole = state.completed(args, kwargs)
        if whole is not None:
            return state.native(*whole)  # an entry takes them, or they come here again
    try:
        if state.overloads:
            from sapwood.lang.overloads import choose

            body, values, arguments = choose(state.native, args, kwargs)
            return body.state.specialise(arguments).call(values)
        values = state.bind(args, kwargs)
        arguments = state.classify(values)
        return state.specialise(arguments).call(values)
    except CompileError as e:
        e.__traceback__ = None  # the compiler's frames tell the user nothing
        raise e from None


def make_function(python: Callable[..., Any], options: Options) -> Any:
    """A NativeFunction for a Python function."""
    if isinstance(python, staticmethod | classmethod | property):
        raise BadDecorator(detail=f"@fn cannot decorate a {type(python).__name__}", hint="put @fn below it")
    if isinstance(python, type):
        raise BadDecorator(detail="@fn decorates functions", hint="for classes use @struct")
    if not isinstance(python, FunctionType):
        from sapwood.lang.errors.hints import decorated_hint

        raise BadDecorator(detail=f"@fn decorates functions, not {type(python).__name__}", hint=decorated_hint(python))
    if inspect.iscoroutinefunction(python) or inspect.isasyncgenfunction(python):
        raise BadDecorator(detail=f"'{python.__name__}' is async", hint="compiled functions run to their end")
    if options.kernel and inspect.isgeneratorfunction(python):
        raise BadDecorator(detail=f"'{python.__name__}' is a generator", hint="a kernel gives nothing back")
    from sapwood.runtime.callable import NativeFunction

    remember(python.__code__.co_filename)
    state = State(python, options)
    _graft(NativeFunction)
    native = NativeFunction(lambda *args, **kwargs: _slow(state, args, kwargs))
    functools.update_wrapper(native, python)
    native.options = options
    native.state = state
    native.__signature__ = state.signature
    state.native = native
    return native


# -- what a NativeFunction can do beyond being called ---------------------------------------------------


def _python(self: Any) -> Callable[..., Any]:
    """The same body, run by CPython with boxed numbers: for debuggers and as an oracle. Not for kernels."""
    if self.options.kernel:
        hint = "k.reference[grid, block](...) runs it in the evaluator, k[grid, block](...) on simt"
        raise NoLaunch(None, name=self.__name__, target="python", hint=hint)
    from sapwood.lang.oracles.python_mode import run_python

    def run(*args: Any, **kwargs: Any) -> Any:
        body = _body(self, args, kwargs)
        return run_python(body, body.state.bind(args, kwargs))

    return run


def _body(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The function itself, or the overload that takes the arguments."""
    if not self.state.overloads:
        return self
    from sapwood.lang.overloads import choose

    return choose(self, args, kwargs)[0]


def _reference(self: Any) -> Callable[..., Any]:
    """The same function, run by the reference evaluator; `on_line=` is called with each source location.

    A kernel is launched there: `k.reference[grid, block](...)`.
    """
    if self.options.kernel:
        from sapwood.lang.launch import ReferenceLauncher

        return ReferenceLauncher(self)
    from sapwood.lang.oracles.python_mode import run_reference

    def run(*args: Any, on_line: Any = None, **kwargs: Any) -> Any:
        body = _body(self, args, kwargs)
        return run_reference(body, body.state.bind(args, kwargs), on_line)

    return run


def _inspect(self: Any, *args: Any, kind: str = "llvm", target: str = "") -> str:
    """HIR, SSA, LLVM text or assembly for these arguments: kind = 'hir', 'ssa', 'llvm' or 'asm'.

    target: for another target than calls use, by name: `k.inspect(x, y, kind="asm", target="nvptx:sm_90a")`
    gives PTX ("ptx" is another word for "asm"). kind="simt" says how the threads of a kernel run on the CPU, and why.
    """
    from sapwood.lang.inspect import inspect_function

    body = _body(self, args, {})
    return inspect_function(body, body.state.classify(body.state.bind(args, {})), kind, target)


def _overload(self: Any, python: Callable[..., Any]) -> Any:
    """Another body for other argument types: `@f.overload`. Gives the function itself, with all its bodies.

    A call runs the body that takes the arguments with the fewest conversions; NoOverload and AmbiguousOverload (both
    are TypeErrors) say when there is none, or more than one.
    """
    from sapwood.lang.overloads import add_overload

    return add_overload(self, python)


def _unit(self: Any, arguments: tuple[Any, ...], interpreter: Any) -> Any:
    """This function as a linked unit for arguments in compiled code."""
    from sapwood.lang.loading.units import unit_for

    return unit_for(self, arguments, interpreter)


def _getitem(self: Any, launch: Any) -> Any:
    try:
        return self.state.launches[launch, type(launch[0]), type(launch[1])]  # 1.0 and True equal 1, and are no sizes
    except (KeyError, TypeError, IndexError):
        from sapwood.lang.launch import launcher

        return launcher(self, launch)


def _launch(
    self: Any, *, grid: Any, block: Any, cluster: Any = None, shared: Any = 0, cooperative: bool = False,
    stream: Any = None,
) -> Any:
    """The kernel with a grid and what else a launch can say: `k.launch(grid=, block=, shared=4096)(...)`.

    grid, block: as in `k[grid, block]`. cluster: blocks that run at the same time, next to each other, along each axis
    (an int or a tuple); the grid must be a multiple of it. shared: bytes of memory that each block gets beyond what
    the kernel declares, for `dynamic_shared`. cooperative: all blocks of the grid run at the same time, so that
    they can wait for each other (`grid_sync`). stream: of the device, None for its default; simt waits for the end
    of each launch, whatever the stream.

    Raises LaunchMistake, a ValueError, for a launch that cannot be.
    """
    from sapwood.lang.launch import Launch, config

    return Launch(self, config(self, grid, block, cluster, shared, cooperative, stream))


def _repr(self: Any) -> str:
    what = "kernel" if self.options.kernel else "function"
    return f"<compiled {what} {self.__wrapped__.__qualname__}>"


def _reduce(self: Any) -> Any:
    """Pickled by name, as functions are."""
    return self.__qualname__


_grafted = False


def _graft(cls: Any) -> None:
    global _grafted
    if _grafted:
        return
    cls.__sapwood_function__ = True
    cls.python = property(_python)
    cls.reference = property(_reference)
    cls.inspect = _inspect
    cls.unit = _unit
    cls.overload = _overload
    cls.__getitem__ = _getitem
    cls.launch = _launch
    cls.__repr__ = _repr
    cls.__reduce__ = _reduce
    _grafted = True


class CompiledFunction(Protocol[R_co]):
    """A compiled function, for type checkers. Arguments are checked at the call, by the function itself: an array of
    NumPy is a Tensor, an int a u8."""

    __name__: str
    __wrapped__: Callable[..., R_co]
    python: Callable[..., R_co]
    reference: Callable[..., R_co]
    inspect: Callable[..., str]
    overload: Callable[[Callable[..., Any]], Any]

    def __call__(self, *args: Any, **kwargs: Any) -> R_co: ...


class SameType(Protocol):
    """A compiled function whose result has the type of its argument."""

    __name__: str
    __wrapped__: Callable[..., Any]
    python: Callable[..., Any]
    reference: Callable[..., Any]
    inspect: Callable[..., str]
    overload: Callable[[Callable[..., Any]], Any]

    def __call__(self, x: T, /) -> T: ...


class _OfAnyType(Protocol):
    def __call__(self, x: T, /) -> T: ...


class _NoResult:
    """Only `Any` fits where this is expected: functions whose result a checker does not know are found by it."""


class _Decorator(Protocol):
    """`@fn(...)`, whose overloads are those of `@fn`."""

    @overload
    def __call__(self, python: Callable[..., _NoResult], /) -> CompiledFunction[Any]: ...
    @overload
    def __call__(self, python: _OfAnyType, /) -> SameType: ...
    @overload
    def __call__(self, python: Callable[..., R], /) -> CompiledFunction[R]: ...


@overload
def fn(python: Callable[..., _NoResult], /) -> CompiledFunction[Any]: ...
@overload
def fn(python: _OfAnyType, /) -> SameType: ...
@overload
def fn(python: Callable[..., R], /) -> CompiledFunction[R]: ...
@overload
def fn(
    *, unchecked: bool = ..., inline: bool = ..., unit: bool = ..., nogil: bool = ..., restrict: bool = ...
) -> _Decorator: ...
def fn(
    python: Any = None,
    /,
    *,
    unchecked: bool = False,
    inline: bool = False,
    unit: bool = False,
    nogil: bool = False,
    restrict: bool = False,
) -> Any:
    """Compile an annotated Python function; it is compiled for each combination of argument types it meets.

    unchecked: leave out bounds and zero checks (a wrong index is then undefined behaviour).
    inline: always inline into compiled callers. unit: compile on its own and link callers to it.
    nogil: release the GIL during calls from Python. restrict: tensor arguments do not overlap.

    Raises CompileError (with a source location) on the first call if the body is not in the language, and
    TypeError if the arguments do not fit the annotations.
    """
    options = Options(unchecked, inline, unit, nogil, restrict)
    if python is not None:
        return make_function(python, options)
    return lambda f: make_function(f, options)


def shared_code(erases: str, unit: bool = False) -> Callable[[Callable[..., R]], CompiledFunction[R]]:
    """A function of the library whose code containers of many types share: see infer/erasure.py. It is unchecked."""
    options = Options(unchecked=True, unit=unit, erases=erases)
    return lambda f: make_function(f, options)


@overload
def kernel(python: Callable[..., Any], /) -> Any: ...
@overload
def kernel(*, unchecked: bool = ...) -> Callable[[Callable[..., Any]], Any]: ...
def kernel(python: Any = None, /, *, unchecked: bool = False) -> Any:
    """Compile a function that runs on a grid of threads: launch it as `k[grid, block](...)`.

    grid (blocks) and block (threads of each) are positive ints or tuples of up to three, x first. Arguments
    are as for @fn; the function returns nothing. A block has at most 1024 threads. Without a GPU the target
    simt runs kernels on the CPU; `k.reference[grid, block](...)` runs them in the evaluator. `k.launch(...)` can say
    more: dynamic shared memory, clusters, a grid that runs together. What a kernel may use beyond @fn is in
    `sapwood.gpu`. Each thread has its own copy of a mutable struct.

    unchecked: leave out bounds and zero checks, as in @fn (on a GPU a check that fails ends the kernel).

    Raises CompileError as @fn does; LaunchMistake (a ValueError) for a grid that cannot be; Deadlock when
    threads wait for each other for ever; and what the kernel raises, of the first block that does.
    """
    options = Options(unchecked=unchecked, kernel=True)
    if python is not None:
        return make_function(python, options)
    return lambda f: make_function(f, options)


__all__ = ["BadArgument", "fn", "kernel"]
