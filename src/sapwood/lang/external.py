"""`external`: C functions of the process or of a shared library, declared by a Python signature.

    @external("strlen")
    def strlen(s: Ptr[u8]) -> i64: ...

The symbol is looked up when the declaration runs. Compiled code refers to it by a name of ours, which the linker
resolves; so cached code holds no addresses. In plain Python and in the evaluator the call goes through ctypes.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import inspect
import typing
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

from sapwood.lang import types as ty
from sapwood.lang.errors import Loc
from sapwood.lang.errors.systems import ExternalLibraryMissing, ExternalSignature, ExternalSymbolMissing

F = TypeVar("F", bound=Callable[..., Any])
NUMBERS = "use int, float, bool, i8 ... u64, f32, f64, Ptr[...] or Callable[[...], ...]"


class External:
    """One C function: its parameters and result (None: void) as leaf types, or a `Callback`."""

    def __init__(self, python: FunctionType, symbol: str, library: str | None) -> None:
        self.python, self.symbol, self.library = python, symbol, library
        self.__name__, self.__doc__, self.__module__ = python.__name__, python.__doc__, python.__module__
        self.__qualname__ = python.__qualname__
        self.parameters, self.result = _signature(python, symbol)
        handle = _open(symbol, library)
        try:
            self._function = getattr(handle, symbol)
        except AttributeError:
            where = "the process" if library is None else f"'{library}'"
            raise ExternalSymbolMissing(_place(python), symbol=symbol, library=where) from None
        self._function.argtypes = [_c_type(p) for _, p in self.parameters]
        self._function.restype = None if self.result is None else _c_type(self.result)
        self.link_name = f"sapwood.external.{library or ''}.{symbol}"
        from sapwood.runtime.jit import register_symbol

        register_symbol(self.link_name, ctypes.cast(self._function, ctypes.c_void_p).value or 0)

    @property
    def sapwood_fingerprint(self) -> str:
        """What compiled code depends on."""
        kinds = ",".join(str(p) for _, p in self.parameters)
        return f"external:{self.library}:{self.symbol}:({kinds})->{self.result}"

    def __repr__(self) -> str:
        return f"<external {self.symbol}>"

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.symbol}() takes {len(self.parameters)} arguments, not {len(args)}")
        result = self.call_with(tuple(_plain(a) for a in args))
        if not isinstance(self.result, ty.Ptr):
            return result
        from sapwood.lang.ops.pointer import Block, Pointer
        from sapwood.lang.oracles.python_memory import PythonPointer

        return PythonPointer(Pointer(Block(result, None), 0, self.result.elem))

    def call_with(self, values: tuple[Any, ...]) -> Any:
        """Call with plain numbers and addresses; callbacks are Python callables."""
        converted = [
            _c_type(p)(v) if isinstance(p, Callback) else v for (_, p), v in zip(self.parameters, values, strict=True)
        ]
        result = self._function(*converted)
        return 0 if result is None and isinstance(self.result, ty.Ptr) else result


class Callback:
    """The type of a parameter that C calls back: leaf types of its parameters and its result (None: void)."""

    def __init__(self, parameters: tuple[ty.Leaf, ...], result: ty.Leaf | None) -> None:
        self.parameters, self.result = parameters, result

    def __str__(self) -> str:
        return f"Callable[[{', '.join(map(str, self.parameters))}], {self.result}]"


def external(symbol: str | Callable[..., Any] | None = None, *, library: str | None = None) -> Any:
    """Declare a C function: `@external`, `@external("symbol")`, `@external("cbrt", library="m")`.

    The decorated function has annotations and no body (`...`). `library` is a name for the system's loader
    ("libm.so.6"), a short name ("m"), or a path; without it the symbol is one of the process, which has libc.
    Raises ExternalSymbolMissing and ExternalLibraryMissing where the declaration stands. Nothing checks that the
    signature is right: like Ptr, this is for those who know.
    """

    def declare(f: F) -> F:
        name = symbol if isinstance(symbol, str) else f.__name__
        return cast(F, External(cast(FunctionType, f), name, library))

    return declare(symbol) if callable(symbol) else declare


def errno() -> int:
    """The value that the last C function of this thread left in `errno`."""
    libc = ctypes.CDLL(None)
    libc.__errno_location.restype = ctypes.POINTER(ctypes.c_int)
    return libc.__errno_location()[0]


def _place(python: FunctionType) -> Loc:
    code = python.__code__
    return Loc(code.co_filename, code.co_firstlineno, 0, code.co_firstlineno, 0, python.__name__)


def _open(symbol: str, library: str | None) -> Any:
    if library is None:
        return ctypes.CDLL(None)
    try:
        return ctypes.CDLL(library)
    except OSError as e:
        found = ctypes.util.find_library(library) if "/" not in library else None
        if found is None:
            raise ExternalLibraryMissing(None, symbol=symbol, library=library, detail=str(e)) from None
        return ctypes.CDLL(found)


def _signature(python: FunctionType, symbol: str) -> tuple[list[tuple[str, Any]], ty.Leaf | None]:
    from sapwood.lang.signatures import evaluate_annotation

    loc = _place(python)

    def wrong(detail: str, hint: str) -> ExternalSignature:
        return ExternalSignature(loc, symbol=symbol, detail=detail, hint=hint)

    parameters = []
    for p in inspect.signature(python).parameters.values():
        if p.kind is not p.POSITIONAL_OR_KEYWORD:
            hint = "declare it once for each number of arguments that you use, if its convention allows that"
            raise wrong(f"'{p.name}' stands for any number of arguments, which C passes in another way", hint)
        if p.annotation is p.empty:
            raise wrong(f"parameter '{p.name}' has no type", NUMBERS)
        found = p.annotation
        if isinstance(found, str):
            found = evaluate_annotation(found, python, loc, p.name)
        kind = _kind(found, loc, p.name)
        if kind is None:
            raise wrong(f"'{p.name}' is {getattr(found, '__name__', found)}, which C cannot take", NUMBERS)
        parameters.append((p.name, kind))
    given = python.__annotations__.get("return")
    if isinstance(given, str):
        given = evaluate_annotation(given, python, loc, "return")
    result = None if given is None or given is type(None) else _kind(given, loc, "return")
    if given is not None and (result is None or isinstance(result, Callback)):
        raise wrong(f"it returns {getattr(given, '__name__', given)}", "a C function returns a number, a Ptr or None")
    return parameters, result


def _kind(annotation: Any, loc: Loc, name: str) -> Any:
    """A leaf type that C knows, a Callback, or None."""
    from sapwood.lang.declared import concrete_type, declare
    from sapwood.lang.errors import BadAnnotation

    if typing.get_origin(annotation) is not None and annotation.__class__.__name__.endswith("GenericAlias"):
        inner = typing.get_args(annotation)
        if len(inner) == 2 and isinstance(inner[0], list):
            kinds = [_kind(a, loc, name) for a in inner[0]]
            result = None if inner[1] in (None, type(None)) else _kind(inner[1], loc, name)
            return None if None in kinds else Callback(tuple(kinds), result)
    try:
        found = concrete_type(declare(annotation, name, loc))
    except BadAnnotation:
        return None
    if isinstance(found, ty.Scalar) and not found.narrow or isinstance(found, ty.Ptr):
        return found
    return None


def _c_type(leaf: Any) -> Any:
    if isinstance(leaf, Callback):
        result = None if leaf.result is None else _c_type(leaf.result)
        return ctypes.CFUNCTYPE(result, *(map(_c_type, leaf.parameters)))
    if isinstance(leaf, ty.Ptr):
        return ctypes.c_void_p
    assert isinstance(leaf, ty.Scalar)
    names = {"bool": "c_bool", "f32": "c_float", "f64": "c_double"}
    return getattr(ctypes, names.get(leaf.name) or f"c_{'u' if leaf.kind == 'uint' else ''}int{leaf.bits}")


def _plain(x: Any) -> Any:
    """A number or an address of a value of plain Python."""
    pointer = getattr(x, "pointer", None)
    if pointer is not None:
        return pointer.address
    return getattr(x, "value", x)
