"""Diagnostics: one class, one stable code and one message template per mistake.

A diagnostic prints the code, the message, the source line with a caret range, further places (`note:`), the
chain of calls that led there, and a `help:` line. Golden tests hold the texts.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import ClassVar

from sapwood.lang.immutable import immutable
from sapwood.lang.sources import lines_of


@immutable
class Loc:
    """A source range. Columns count characters from 0; `end_col` is exclusive."""

    file: str
    line: int
    col: int
    end_line: int
    end_col: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col + 1}"


NOWHERE = Loc("<unknown>", 0, 0, 0, 0, "")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def excerpt(loc: Loc, indent: str) -> list[str]:
    """The source line and a caret line below it; none when the source is not there."""
    lines = lines_of(loc.file)
    source = lines[loc.line - 1].rstrip("\n") if 0 < loc.line <= len(lines) else ""
    if not source.strip():
        return []
    stripped = source.lstrip()
    cut = len(source) - len(stripped)
    end = loc.end_col if loc.end_line == loc.line else len(source)
    start = max(loc.col - cut, 0)
    stop = max(end - cut, start + 1)
    pad = " " * _width(stripped[:start].expandtabs())
    return [indent + stripped.expandtabs(), indent + pad + "^" * max(_width(stripped[start:stop]), 1)]


def _place(loc: Loc) -> str:
    return f"{loc} in {loc.function}" if loc.function else str(loc)


SHOWN_CALLS = 8  # of a chain of calls; the middle of a longer one is left out


class CompileError(Exception):
    """A mistake in code that is to be compiled. Subclasses set `code`, `message` and `help`."""

    code: ClassVar[str] = "S000"
    message: ClassVar[str] = "{detail}"
    help: ClassVar[str] = ""

    def __init__(
        self, loc: Loc | None = None, notes: tuple[tuple[str, Loc | None], ...] = (), **fields: object
    ) -> None:
        self.loc = loc or NOWHERE
        self.notes = notes
        self.fields = fields
        self.calls: list[tuple[str, Loc | None]] = []
        super().__init__()

    @property
    def text(self) -> str:
        return self.message.format(**self._shown())

    @property
    def help_text(self) -> str:
        """What to do about it."""
        return self.help.format(**self._shown()) if self.help else ""

    def _shown(self) -> dict[str, str]:
        """The fields as people read them: i64 and f64 by the names that they have in annotations."""
        names = {"i64": "int", "f64": "float"}
        return {k: names.get(str(v), str(v)) for k, v in self.fields.items()}

    def called_from(self, text: str, loc: Loc | None) -> None:
        """Record one frame of the chain of calls, innermost first; `loc` is None for a call from Python."""
        self.calls.append((text, loc))

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.text}"]
        if self.loc is not NOWHERE:
            lines += [f"  {_place(self.loc)}", *excerpt(self.loc, "    ")]
        for text, loc in self.notes:
            lines.append(f"  note: {text}" + ("" if loc is None else f": {_place(loc)}"))
            if loc is not None:
                lines += excerpt(loc, "    ")
        calls = self.calls
        left_out = len(calls) - SHOWN_CALLS
        for i, (text, loc) in enumerate(calls):
            if left_out > 0 and SHOWN_CALLS // 2 <= i < SHOWN_CALLS // 2 + left_out:
                if i == SHOWN_CALLS // 2:
                    lines.append(f"  ... {left_out} more calls")
                continue
            lines.append(f"  called from {'Python' if loc is None else _place(loc)}: {text}")
            lines += [] if loc is None else excerpt(loc, "    ")[:1]
        if self.help_text:
            lines.append(f"  help: {self.help_text}")
        return "\n".join(lines)

    def __reduce__(self):  # pickles as text: exceptions cross process boundaries in test runners
        return (_Restored, (type(self).__name__, str(self)))


class _Restored(CompileError):
    def __init__(self, name: str, text: str) -> None:
        super().__init__()
        self._text = f"{text}"
        self.name = name

    def __str__(self) -> str:
        return self._text


def with_function(loc: Loc, function: str) -> Loc:
    return replace(loc, function=function)


class SyntaxMistake(CompileError):
    """S: a construct that the language does not have."""


class NameMistake(CompileError):
    """N: a name that means nothing here."""


class TypeMistake(CompileError):
    """T: types that do not fit."""


class ConstMistake(CompileError):
    """C: something had to be known at compile time."""


class TargetMistake(CompileError):
    """X: the target cannot do it."""


class ArgumentMistake(CompileError, TypeError):
    """A: a call of a compiled function with arguments that do not fit; also a TypeError."""

    def __reduce__(self):
        return (TypeError, (str(self),))


# -- S: syntax --------------------------------------------------------------------------------------


class UnsupportedSyntax(SyntaxMistake):
    code = "S001"
    message = "{what} is not part of the kernel language"
    help = "{hint}"


class NoSource(SyntaxMistake):
    code = "S002"
    message = "the source of '{name}' cannot be read"
    help = "define compiled functions in a .py file or a notebook cell, not through exec() or python -c"


class StarArguments(SyntaxMistake):
    code = "S003"
    message = "{what} cannot be used in a compiled {where}"
    help = "{hint}"


class GlobalAssignment(SyntaxMistake):
    code = "S004"
    message = "'{name}' is declared {scope}; compiled code cannot assign outside its own function"
    help = "return the new value, or write it into a Tensor that is passed in"


class BadDecorator(SyntaxMistake):
    code = "S006"
    message = "{detail}"
    help = "{hint}"


# -- N: names ---------------------------------------------------------------------------------------


class UndefinedName(NameMistake):
    code = "N001"
    message = "name '{name}' is not defined"
    help = "{hint}"


class MaybeUnbound(NameMistake):
    code = "N002"
    message = "'{name}' may have no value here"
    help = "give '{name}' a value before the branch or loop that assigns it"


class HidesOuterName(NameMistake):
    code = "N007"
    message = "'{name}' has no value here: {function} assigns it, so it is not the '{name}' of the function around it"
    help = "declare it at the head of {function}: nonlocal {name}"


class NoAttribute(NameMistake):
    code = "N003"
    message = "{type} has no attribute '{name}'"
    help = "{hint}"


class DeletedName(NameMistake):
    code = "N006"
    message = "'{name}' may have been deleted"
    help = "give '{name}' a new value first, or leave out the del"


class ForeignObject(NameMistake):
    code = "N004"
    message = "'{name}' is a Python {kind}, which compiled code cannot use"
    help = "{hint}"


class ForeignCall(NameMistake):
    code = "N005"
    message = "'{name}' is an ordinary Python {kind} and cannot be called from compiled code"
    help = "{hint}"


# -- T: types ---------------------------------------------------------------------------------------


class BadAnnotation(TypeMistake):
    code = "T002"
    message = "the annotation of '{name}' is not a type of the language: {found}"
    help = "{hint}"


class NoOperator(TypeMistake):
    code = "T003"
    message = "{left} {op} {right} is not defined"
    help = "{hint}"


class MixedSigns(TypeMistake):
    code = "T004"
    message = "{left} {op} {right} mixes signed and unsigned integers"
    help = "convert one side, for example {to}(x)"


class LaneMismatch(TypeMistake):
    code = "T005"
    message = "{left} {op} {right}: vectors of different length"
    help = "both sides need the same number of lanes, or one side must be a scalar"


class WrongArgumentType(TypeMistake):
    code = "T006"
    message = "argument '{name}' of '{function}' is {found}, but {expected} is declared"
    help = "{hint}"


class WrongArgumentCount(TypeMistake):
    code = "T007"
    message = "'{function}' {problem}"
    help = "its signature is {signature}"


class ReturnMismatch(TypeMistake):
    code = "T008"
    message = "'{function}' returns {found} here, but {expected} {why}"
    help = "{hint}"


class NotIndexable(TypeMistake):
    code = "T009"
    message = "{type} cannot be indexed{detail}"
    help = "{hint}"


class TooManyIndices(TypeMistake):
    code = "T010"
    message = "{count} indices for {type}, which has rank {rank}"
    help = "use at most {rank} indices"


class BranchTypes(TypeMistake):
    code = "T011"
    message = "'{name}' is {first} after one branch and {second} after the other"
    help = "{hint}"
    hint = "give it the same type in both, or use a name of its own in each"


class LoopTypeChange(TypeMistake):
    code = "T012"
    message = "loop changes the type of '{name}' from {before} to {after}"
    help = "start it as {after}, convert the new value to {before}, or give it another name"


class NotABool(TypeMistake):
    code = "T013"
    message = "{type} cannot be used as a condition"
    help = "{hint}"


class NotCallable(TypeMistake):
    code = "T014"
    message = "{type} cannot be called"
    help = "only @fn functions, nested functions, dtypes, @struct classes and operations can be called"


class BadConversion(TypeMistake):
    code = "T015"
    message = "{found} cannot be converted to {expected}"
    help = "{hint}"


class ImmutableField(TypeMistake):
    code = "T016"
    message = "cannot assign to {what}"
    help = "{hint}"


class UnpackMismatch(TypeMistake):
    code = "T017"
    message = "cannot unpack {found} into {count} names"
    help = "the number of names and of values must be equal"


class BadOperand(TypeMistake):
    code = "T019"
    message = "{function}: {detail}"
    help = "{hint}"


class LiteralOverflow(TypeMistake):
    code = "T020"
    message = "the literal {value} does not fit into {type}"
    help = "the range of {type} is {low} to {high}"


class RecursionNeedsReturnType(TypeMistake):
    code = "T021"
    message = "every path through '{function}' calls itself, so that nothing tells what it returns"
    help = "return a value on some path, or write def {function}(...) -> type:"


class ParallelAssignment(TypeMistake):
    code = "T022"
    message = "'{name}' is assigned inside a parallel loop, but belongs to the code around it"
    help = "declare a reduction, parallel(n, add={name}), or write to an element of a tensor"


class ParallelExit(TypeMistake):
    code = "T023"
    message = "'{what}' cannot leave a parallel loop"
    help = "the iterations run in any order and all of them run; use range() or set a flag in a tensor"


class RaiseNeedsException(TypeMistake):
    code = "T024"
    message = "only exception classes can be raised, not {found}"
    help = 'for example: raise ValueError("text")'


class EscapingReference(TypeMistake):
    code = "T025"
    message = "{what} refers to storage of '{function}' and cannot be returned from it"
    help = "pass the storage in as a parameter, or return its elements"


class ClosureEscapes(TypeMistake):
    code = "T026"
    message = "functions are compile-time values: {detail}"
    help = "pass the function as an argument and call it there, or select between results instead"


class TooManyLanes(TypeMistake):
    code = "T027"
    message = "SIMD[{elem}, {lanes}] is not a legal vector"
    help = "use a power of two from 1 to 1024 lanes"


class StackTooLarge(TypeMistake):
    code = "T028"
    message = "StackArray of {bytes} bytes is larger than the limit of {limit} bytes"
    help = "pass a Tensor in instead"


class NotAnIndex(TypeMistake):
    code = "T029"
    message = "{what} must be an int, not {found}"
    help = "use int(x), or // instead of /"


class MissingReturn(TypeMistake):
    code = "T030"
    message = "'{function}' is declared to return {expected}, but can reach its end without a return"
    help = "return a value on every path, or raise an exception at the end"


class AssignmentMismatch(TypeMistake):
    code = "T031"
    message = "'{name}' is annotated as {expected}, but the value is {found}"
    help = "{hint}"


class RecursiveSharedType(TypeMistake):
    code = "T033"
    message = "'{name}' is {before} when this recursive function is called, and {after} when it returns"
    help = "start '{name}' as {after}, or convert the new value"


class PatternMismatch(TypeMistake):
    code = "T032"
    message = "the pattern cannot match: {detail}"
    help = "{hint}"


# -- C: compile-time knowledge ----------------------------------------------------------------------


class NotConstant(ConstMistake):
    code = "C001"
    message = "{what} must be known at compile time, but this is {found}"
    help = "make it a Const parameter, a literal or a module-level constant"


class StaticAssertFailed(ConstMistake):
    code = "C002"
    message = "static assertion failed: {detail}"
    help = "the condition is checked when the function is compiled"


class UnrollTooLong(ConstMistake):
    code = "C003"
    message = "unroll of {count} iterations is more than the limit of {limit}"
    help = "use an ordinary loop"


class TooManySpecialisations(ConstMistake):
    code = "C004"
    message = "'{function}' has been compiled for {count} different argument types or constants"
    help = "a value that changes often should be an ordinary parameter, not Const"


class TypeVarConflict(ConstMistake):
    code = "C005"
    message = "type variable {name} is {first} from one argument and {second} from '{param}'"
    help = "convert one argument, or use two type variables"


class CallTooDeep(ConstMistake):
    code = "C006"
    message = "inlining '{function}' nests deeper than {limit} calls"
    help = "functions that take functions are inlined and cannot recurse"


# -- X: targets -------------------------------------------------------------------------------------


class IllegalOnTarget(TargetMistake):
    code = "X001"
    message = "{op} on {types} is not available on target {target}"
    help = "{hint}"


class KernelOnly(TargetMistake):
    code = "X002"
    message = "{op} can only be used in a @kernel function"
    help = "decorate the function with @kernel and launch it as k[grid, block](...)"


class HostOnly(TargetMistake):
    code = "X003"
    message = "{op} cannot be used in a @kernel function"
    help = "{hint}"


class MutatedCopy(ArgumentMistake):
    code = "A004"
    message = "{function}() changes its argument '{name}', a Python {type} that was copied in: the change would be lost"
    help = "return what has changed, or take a sapwood.List, Dict or Set, which both sides share"


class CountedInParallel(TargetMistake):
    code = "X009"
    message = "{type} cannot be used where the GIL is not held: in a parallel loop or a nogil function"
    help = "use numbers, tensors and structs of them there, and the rest before or after"


class KernelCall(TargetMistake):
    code = "X004"
    message = "the kernel '{name}' is called without a grid"
    help = "launch it, {name}[grid, block](...), or move what both need into an @fn function"


class LaunchInKernel(TargetMistake):
    code = "X010"
    message = "the kernel '{name}' is launched in a kernel"
    help = "launch both from host code, one after the other, or move what both need into an @fn function"


class KernelResult(TargetMistake):
    code = "X005"
    message = "the kernel '{name}' returns {found}, but the threads of a kernel have nobody to return it to"
    help = "write the result into a Tensor that is passed in"


class SharedTooLarge(TargetMistake):
    code = "X006"
    message = "'{name}' declares {bytes} bytes of shared memory, but a block of target {target} has {limit}"
    help = "use a smaller tile, or keep part of it in StackArray"


# -- L: launches ------------------------------------------------------------------------------------


class LaunchMistake(CompileError, ValueError):
    """L: a launch that no device could do; also a ValueError."""

    def __reduce__(self):
        return (ValueError, (str(self),))


class NotAKernel(LaunchMistake):
    code = "L001"
    message = "'{name}' is an @fn function and has no grid"
    help = "call it as {name}(...), or decorate it with @kernel"


class NoGrid(LaunchMistake):
    code = "L002"
    message = "the kernel '{name}' was called without a grid"
    help = "launch it as {name}[grid, block](...)"


class BadLaunchShape(LaunchMistake):
    code = "L003"
    message = "{where}: {what} must be 1 to 3 positive ints, not {found}"
    help = "for example {name}[blocks, threads](...) or {name}[(gx, gy), (bx, by, bz)](...)"


class LaunchTooLarge(LaunchMistake):
    code = "L004"
    message = "{where}: {what} is {found}, but the limit is {limit}"
    help = "{hint}"


class NoLaunch(LaunchMistake):
    code = "L005"
    message = "'{name}' cannot be launched on target {target} from here"
    help = "{hint}"



# -- A: arguments from Python -----------------------------------------------------------------------


class BadArgument(ArgumentMistake):
    code = "A001"
    message = "{function}(): argument '{name}' must be {expected}, not {found}"
    help = "{hint}"
