"""Small programs that CPython and compiled code must agree on.

A module in programs/ is ordinary code with `fn` and `case` from here:

    @case(10)
    @case(0)
    @fn
    def triangle(n: int) -> int:
        return n * (n + 1) // 2

`load` executes it twice: once with `fn` of the language, and once with an `fn` that leaves functions alone, so that
all that a program calls is Python, too. Calls are compiled together, as one function that returns all their results
and another that makes the one that raises; only where that fails (or does not compile), one by one.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import itertools
import linecache
import math
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import sapwood
from sapwood.runtime.heap import live_objects

BUNDLE = 36  # calls that are compiled as one function
_serial = itertools.count()
_plain = False
_cases: dict[str, tuple[Any, list[tuple[Any, ...]]]] = {}


def fn(function: Any) -> Any:
    """`sapwood.fn`, or nothing while a module is loaded for CPython."""
    return function if _plain else sapwood.fn(function)


def case(*args: Any) -> Callable[[Any], Any]:
    """The program is called with these arguments."""

    def add(function: Any) -> Any:
        _cases.setdefault(function.__name__, (function, []))[1].insert(0, args)
        return function

    return add


@dataclass
class Program:
    """One function, as Python and compiled, and its calls."""

    name: str
    plain: Any
    compiled: Any
    calls: list[tuple[Any, ...]]


@dataclass
class Outcome:
    """What a call did: its result, or the exception, and what it printed."""

    value: Any
    raised: BaseException | None
    printed: str

    def __repr__(self) -> str:
        text = repr(self.value) if self.raised is None else f"raises {type(self.raised).__name__}: {self.raised}"
        return text + (f" and prints {self.printed!r}" if self.printed else "")


Call = tuple[Program, tuple[Any, ...], Outcome]  # the outcome is CPython's


def execute(path: Path, plain: bool) -> tuple[ModuleType, dict[str, tuple[Any, list[tuple[Any, ...]]]]]:
    """A module of programs, new, and its cases."""
    global _plain
    _plain = plain
    _cases.clear()
    module = ModuleType(f"{path.stem}_{'plain' if plain else 'compiled'}")
    sys.modules[module.__name__] = module  # where dataclasses look annotations up
    try:
        exec(compile(path.read_text(), str(path), "exec"), vars(module))
    finally:
        _plain = False
    return module, dict(_cases)


def load(path: Path) -> list[Program]:
    _, plain = execute(path, True)
    _, compiled = execute(path, False)
    return [Program(name, plain[name][0], *compiled[name]) for name in compiled]


def outcome(function: Any, args: tuple[Any, ...]) -> Outcome:
    """Runs a call on copies of its arguments."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            return Outcome(function(*copy.deepcopy(args)), None, printed.getvalue())
        except Exception as e:
            return Outcome(None, e.with_traceback(None), printed.getvalue())


def same(a: Any, b: Any) -> bool:
    """Equal in type and value, down to the last element: nan is nan, 0.0 is not -0.0, dicts are in order."""
    if is_dataclass(a):  # the classes of both loads have one name
        return type(a).__qualname__ == type(b).__qualname__ and same(vars_of(a), vars_of(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return a == b


def vars_of(x: Any) -> list[Any]:
    return [getattr(x, name) for name in type(x).__dataclass_fields__]


def agree(a: Outcome, b: Outcome) -> bool:
    """Equal results or exceptions (type and text), and equal output; `a` is CPython's."""
    if str(a.raised) == "dictionary keys changed during iteration":  # it sees some of them; what happens is left open
        return b.raised is None or isinstance(b.raised, RuntimeError)
    if isinstance(b.raised, StopIteration) and a.raised is None:  # map() and filter() end when their function raises it
        return True
    if a.printed != b.printed or (a.raised is None) != (b.raised is None):
        return False
    if a.raised is None or b.raised is None:
        return same(a.value, b.value)
    names = type(a.raised).__qualname__, type(b.raised).__qualname__
    return names[0] == names[1] and str(a.raised) == str(b.raised) and same(a.raised.args, b.raised.args)


def function_of(lines: list[str], scope: dict[str, Any]) -> Any:
    """The compiled function of a text."""
    text = "\n".join([*lines, ""])
    name = f"<bundle {next(_serial)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope["__name__"] = "bundle"
    exec(compile(text, name, "exec"), scope)
    return sapwood.fn(scope["bundle"])


def all_calls(calls: list[Call]) -> tuple[Any, list[Any]]:
    """A compiled function that makes all the calls and returns the tuple of their results, and its arguments."""
    scope: dict[str, Any] = {}
    params: list[str] = []
    lines: list[str] = []
    values: list[Any] = []
    for k, (program, args, _) in enumerate(calls):
        scope[f"f{k}"] = program.compiled
        names = []
        for declared, value in zip(declared_types(program, args), args, strict=True):
            name = f"a{len(values)}"
            scope[f"t{len(values)}"] = declared
            params.append(f"{name}: t{len(values)}")
            names.append(name)
            values.append(value)
        lines.append(f"        f{k}({', '.join(names)}),")
    return function_of([f"def bundle({', '.join(params)}):", "    return (", *lines, "    )"], scope), values


def any_call(calls: list[Call]) -> tuple[Any, list[list[Any]]]:
    """A compiled function that makes one of the calls, the program of which is its first argument, and returns its
    result as an object; and the arguments for each call. Programs with parameters of the same types share those of
    the bundle, and the calls of one program are one call in its text."""
    scope: dict[str, Any] = {}
    params = ["which: int"]
    lines: list[str] = []
    programs: dict[str, int] = {}
    places: dict[tuple[Any, ...], tuple[int, tuple[Any, ...]]] = {}  # first parameter, arguments
    values: list[list[Any]] = []
    for program, args, _ in calls:
        types = tuple(declared_types(program, args))
        if types not in places:
            places[types] = len(params), args
            for declared in types:
                scope[f"t{len(params)}"] = declared
                params.append(f"a{len(params)}: t{len(params)}")
        first = places[types][0]
        key = f"{program.name} {len(types)}"  # a default may stand for a parameter
        if key not in programs:
            k = programs[key] = len(programs)
            scope[f"f{k}"] = program.compiled
            names = [f"a{n}" for n in range(first, first + len(types))]
            call = f"f{k}({', '.join(names)})"  # a result that cannot be an object is not looked at: the call raises
            lines += [f"    if which == {k}:", f"        {'return ' if becomes_object(program) else ''}{call}"]
    usual = [-1, *(value for _, found in places.values() for value in found)]
    for program, args, _ in calls:
        types = tuple(declared_types(program, args))
        own = list(usual)
        own[0] = programs[f"{program.name} {len(types)}"]
        own[places[types][0] : places[types][0] + len(args)] = args
        values.append(own)
    return function_of([f"def bundle({', '.join(params)}) -> object:", *lines, "    return None"], scope), values


def differ_together(calls: list[Call]) -> list[Call]:
    """Which of the calls that return, made by one compiled function, do not do what they should: all or none."""
    before = live_objects()
    function, values = all_calls(calls)
    found = outcome(function, tuple(values))
    if found.raised is not None or found.printed != "".join(wanted.printed for _, _, wanted in calls):
        return calls
    if not all(same(wanted.value, value) for (_, _, wanted), value in zip(calls, found.value, strict=True)):
        return calls
    del found
    return calls if live_objects() != before else []


def differ_by_choice(calls: list[Call]) -> list[Call]:
    """Which of the calls, chosen by number in one compiled function, do not do what they should."""
    function, values = any_call(calls)
    if outcome(function, (-1, *values[0][1:])).raised is not None:  # it cannot be compiled
        if len({program.name for program, _, _ in calls}) < 3:
            return calls
        half = len(calls) // 2
        return differ_by_choice(calls[:half]) + differ_by_choice(calls[half:])
    wrong = []
    for call, arguments in zip(calls, values, strict=True):
        before = live_objects()
        if not agree(call[2], outcome(function, tuple(arguments))) or live_objects() != before:
            wrong.append(call)
    return wrong


def differences(programs: list[Program], together: int = BUNDLE) -> Iterator[str]:
    """What CPython and compiled code do not agree on, one line for each call; `together` of them are one unit."""
    alone: list[Call] = []
    for part in batched([(p, args, outcome(p.plain, args)) for p in programs for args in p.calls], together):
        alone += [c for c in part if not bundles(c)]
        part = [c for c in part if bundles(c)]
        groups: dict[bool, list[Call]] = {True: [], False: []}
        for call in part:
            groups[call[2].raised is not None or becomes_object(call[0])].append(call)
        for choice, calls in groups.items():
            if calls:
                alone += differ_by_choice(calls) if choice else differ_together(calls)
    for program, args, wanted in alone:
        before = live_objects()
        found = outcome(program.compiled, args)
        text = f"{program.name}{args}: CPython {wanted}, compiled {found}"
        agreed = agree(wanted, found)
        del found
        if not agreed:
            yield text
        elif live_objects() != before:
            yield f"{program.name}{args}: {live_objects() - before} objects stay alive"


def batched(calls: list[Call], together: int) -> Iterator[list[Call]]:
    for start in range(0, len(calls), together):
        yield calls[start : start + together]


def declared_types(program: Program, args: tuple[Any, ...]) -> list[Any]:
    """The annotation of the parameter of each argument; None without one."""
    annotations = inspect.get_annotations(program.compiled.__wrapped__, eval_str=True)
    names = [p.name for p in inspect.signature(program.compiled).parameters.values()]
    return [annotations.get(name) for name in names[: len(args)]]


def bundles(call: Call) -> bool:
    """Whether a compiled function can make the call: every argument has a declared type, and none is a function."""
    program, args, _ = call
    declared = declared_types(program, args)
    return (
        len(declared) == len(args)
        and not any(map(callable, args))
        and all(t is not None and "Const" not in str(t) for t in declared)
    )


def becomes_object(program: Program) -> bool:
    """Whether the result is of Python's own types, by its annotation."""
    found = inspect.get_annotations(program.compiled.__wrapped__, eval_str=True).get("return", Any)
    return found is None or not _own(found)


def _own(declared: Any) -> bool:
    """Whether an annotation names a type of the language (a struct, i32) or anything else that is not Python's."""
    parts = typing.get_args(declared)
    if parts:
        return any(_own(p) for p in parts if p is not Ellipsis)
    return declared not in (int, float, bool, str, bytes, complex, type(None))
