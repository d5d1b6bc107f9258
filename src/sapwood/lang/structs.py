"""`@struct`: classes that are dataclasses in Python and plain data in compiled code."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, dataclass_transform, overload

from sapwood.lang.errors import BadDecorator

T = TypeVar("T", bound=type)


class StructInfo:
    """What the compiler knows of a struct: fields, defaults, methods, constants."""

    def __init__(self, cls: type, frozen: bool) -> None:
        from sapwood.lang.function import method_function

        self.cls = cls
        self.frozen = frozen
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        self.defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
        names = {f.name for f in fields}
        self.methods: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        for base in reversed(cls.__mro__[:-1]):
            for name, value in vars(base).items():
                if isinstance(value, FunctionType) and not _generated(value):
                    self.methods[name] = method_function(value)
                elif name not in names and not name.startswith("__") and isinstance(value, int | float | str):
                    self.constants[name] = value
        self._annotations: dict[str, Any] | None = None

    def annotations(self) -> dict[str, Any]:
        """Field name -> evaluated annotation, in order."""
        if self._annotations is None:
            scope = vars(sys.modules[self.cls.__module__])
            local = {self.cls.__name__: self.cls}
            self._annotations = {
                f.name: eval(f.type, scope, local) if isinstance(f.type, str) else f.type
                for f in dataclasses.fields(self.cls)  # type: ignore[arg-type]
            }
        return self._annotations

    def fingerprint(self) -> str:
        from sapwood.lang.fingerprint import constant_fingerprint, digest, fingerprint

        fields = [(n, repr(a), constant_fingerprint(self.defaults.get(n))) for n, a in self.annotations().items()]
        return digest(fields, self.frozen, [fingerprint(m) for m in self.methods.values()], self.constants)


def _generated(f: FunctionType) -> bool:
    """Whether `dataclass` made this method: it has no source file."""
    return f.__code__.co_filename.startswith("<") and not f.__code__.co_filename.startswith("<ipython")


@overload
def struct(cls: T) -> T: ...
@overload
def struct(*, frozen: bool = False) -> Callable[[T], T]: ...
@dataclass_transform()
def struct(cls: Any = None, *, frozen: bool = False) -> Any:
    """Make a class of annotated fields a struct of the language.

    In Python it is a dataclass. In compiled code a frozen struct is a value and a mutable one a reference to
    storage, so `b = a` aliases, as in Python. Methods and operators are compiled with it. Arguments of a
    mutable struct are copied in, and their fields are written back after the call.
    """

    def make(c: type) -> type:
        if not isinstance(c, type):
            raise BadDecorator(detail="@struct decorates a class", hint="for functions use @fn")
        made = dataclasses.dataclass(c, frozen=frozen)
        made.__sapwood_struct__ = StructInfo(made, frozen)  # type: ignore[attr-defined]
        return made

    return make if cls is None else make(cls)
