"""`@struct`: classes that are dataclasses in Python and plain data in compiled code."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, TypeVar, dataclass_transform, get_args, get_origin, overload

from sapwood.lang.errors import BadDecorator

T = TypeVar("T", bound=type)

OPTIONS = ("frozen", "order", "eq", "kw_only", "repr", "unsafe_hash", "match_args", "slots")
_WITHOUT_MEANING = frozenset(  # what classes hold that compiled code never asks for
    ("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__firstlineno__",
     "__static_attributes__", "__orig_bases__", "__parameters__", "__type_params__", "__abstractmethods__",
     "_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__sapwood_struct__", "__match_args__",
     "__slots__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__conditional_annotations__",
     "__protocol_attrs__", "_is_protocol", "_is_runtime_protocol", "__non_callable_proto_members__")
)  # fmt: skip


class StructInfo:
    """What the compiler knows of a struct: fields, defaults, methods, properties, constants."""

    def __init__(self, cls: type, options: dict[str, bool]) -> None:
        self.cls = cls
        self.frozen = options.get("frozen", False)
        self.order = options.get("order", False)
        self.kw_only = options.get("kw_only", False)
        self.fields: dict[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        self.defaults = {n: f.default for n, f in self.fields.items() if f.default is not dataclasses.MISSING}
        self.factories: dict[str, Any] = {
            n: f.default_factory for n, f in self.fields.items() if f.default_factory is not dataclasses.MISSING
        }
        self.methods: dict[str, Any] = {}
        self.static: dict[str, Any] = {}
        self.class_methods: dict[str, Any] = {}
        self.properties: dict[str, property] = {}
        self.constants: dict[str, Any] = {}
        self.generated: set[str] = set()  # methods that `dataclass` made
        for base in reversed(cls.__mro__[:-1]):
            for name, value in vars(base).items():
                if name not in _WITHOUT_MEANING and name not in self.fields:
                    self._enter(name, value, base)
        self._annotations: dict[str, Any] | None = None
        self._fingerprint: str | None = None

    def _enter(self, name: str, value: Any, owner: type) -> None:
        """One name of a class body; it hides what a base has under the same name."""
        for table in (self.methods, self.static, self.class_methods, self.properties, self.constants):
            table.pop(name, None)
        self.generated.discard(name)
        if isinstance(value, FunctionType) and _generated(value):
            self.generated.add(name)
            return
        kind, member = member_of(value, owner)
        if isinstance(value, property):
            for f in (value.fget, value.fset):
                if isinstance(f, FunctionType):
                    member_of(f, owner)
        if kind == "constant" and name.startswith("__") and not _operator_constant(name, value):
            return
        getattr(self, {"method": "methods", "static": "static", "class": "class_methods", "property": "properties",
                       "constant": "constants"}[kind])[name] = member  # fmt: skip

    def annotations(self) -> dict[str, Any]:
        """Field name -> evaluated annotation, in order; type variables of generic bases are filled in."""
        if self._annotations is None:
            known = base_arguments(self.cls)
            self._annotations = {
                n: substitute(self._evaluate(f), known) for n, f in self.fields.items()
            }
        return self._annotations

    def _evaluate(self, f: dataclasses.Field[Any]) -> Any:
        if not isinstance(f.type, str):
            return f.type
        owner = next((c for c in self.cls.__mro__ if f.name in vars(c).get("__annotations__", {})), self.cls)
        local: dict[str, Any] = {c.__name__: c for c in (owner, self.cls)}
        local.update({p.__name__: p for p in getattr(owner, "__type_params__", ())})
        local.update({k: v for k, v in vars(owner).items() if isinstance(v, type)})
        try:
            found = eval(f.type, vars(sys.modules[owner.__module__]), local)
            # in quotes, and under `from __future__ import annotations`
            return eval(found, vars(sys.modules[owner.__module__]), local) if isinstance(found, str) else found
        except NameError as e:
            from sapwood.lang.errors import BadAnnotation

            where = f"'{e.name}' is not defined in the module of {owner.__name__}"
            raise BadAnnotation(None, name=f.name, found=f.type, hint=where) from None

    def members(self) -> Iterator[tuple[str, str]]:
        """(name, kind) of all that an instance has."""
        yield from ((n, "field") for n in self.fields)
        yield from ((n, "property") for n in self.properties)
        yield from ((n, "method") for n in (*self.methods, *self.static, *self.class_methods))
        yield from ((n, "constant") for n in self.constants)

    @property
    def parameters(self) -> tuple[Any, ...]:
        """Type variables of a generic struct."""
        return getattr(self.cls, "__parameters__", ())

    def fingerprint(self) -> str:
        from sapwood.lang.loading.fingerprint import describe_constant, digest, fingerprint

        if self._fingerprint is None:
            self._fingerprint = "recursive"
            fields = [(n, repr(a), f"{self.fields[n].compare}{self.fields[n].init}{self.fields[n].kw_only}")
                      for n, a in self.annotations().items()]  # fmt: skip
            defaults = {n: describe_constant(v) for n, v in (self.defaults | self.factories).items()}
            functions = [
                (n, fingerprint(m)) for t in (self.methods, self.static, self.class_methods) for n, m in t.items()
            ]
            properties = [
                (n, [None if f is None else describe_constant(f) for f in (p.fget, p.fset)])
                for n, p in self.properties.items()
            ]
            constants = {n: describe_constant(v) for n, v in self.constants.items()}
            self._fingerprint = digest(
                fields, self.frozen, self.order, sorted(self.generated), defaults, functions, properties, constants
            )
        return self._fingerprint


def member_of(value: Any, owner: type | None = None) -> tuple[str, Any]:
    """(kind, what compiled code calls or reads) of something in a class's body."""
    from sapwood.lang.function import method_function

    def compiled(f: Any) -> Any:
        return method_function(f, owner) if isinstance(f, FunctionType) else f

    if isinstance(value, staticmethod):
        return "static", compiled(value.__func__)
    if isinstance(value, classmethod):
        return "class", compiled(value.__func__)
    if isinstance(value, property):
        return "property", value
    if isinstance(value, FunctionType) or hasattr(type(value), "__sapwood_function__"):
        return "method", compiled(value)
    return "constant", value


def _operator_constant(name: str, value: Any) -> bool:
    """`__hash__ = None` and the like: an operator that a class switches off."""
    return value is None and name in ("__hash__", "__iter__", "__contains__", "__eq__", "__reversed__")


def _generated(f: FunctionType) -> bool:
    """Whether `dataclass` made this method: it has no source file, or is one of dataclasses' own."""
    file = f.__code__.co_filename
    if file.startswith("<"):
        return not file.startswith("<ipython")
    return os.path.basename(file) in ("dataclasses.py", "reprlib.py")


# -- generic classes -----------------------------------------------------------------------------------


def base_arguments(cls: type) -> dict[Any, Any]:
    """Type variables of generic bases -> what the class fills in: `class IntPair(Pair[int])`."""
    out: dict[Any, Any] = {}
    for c in cls.__mro__:
        for base in vars(c).get("__orig_bases__", ()):
            origin = get_origin(base)
            parameters = getattr(origin, "__parameters__", ())
            if isinstance(origin, type) and parameters:
                for parameter, argument in zip(parameters, get_args(base), strict=False):
                    if parameter is not argument:
                        out.setdefault(parameter, substitute(argument, out))
    return out


def substitute(annotation: Any, known: dict[Any, Any]) -> Any:
    """An annotation with type variables replaced."""
    if not known:
        return annotation
    if isinstance(annotation, TypeVar):
        return known.get(annotation, annotation)
    from sapwood.lang.api.annotations import Parameterised

    if isinstance(annotation, Parameterised):
        return Parameterised(annotation.origin, tuple(substitute(a, known) for a in annotation.args))
    parameters = getattr(annotation, "__parameters__", ())
    if parameters and get_origin(annotation) is not None:
        return annotation[tuple(known.get(p, p) for p in parameters)]
    return annotation


# -- the decorator -------------------------------------------------------------------------------------


@overload
def struct(cls: T) -> T: ...
@overload
def struct(
    *,
    frozen: bool = ...,
    order: bool = ...,
    eq: bool = ...,
    kw_only: bool = ...,
    repr: bool = ...,
    unsafe_hash: bool = ...,
    match_args: bool = ...,
    slots: bool = ...,
) -> Callable[[T], T]: ...
@dataclass_transform(field_specifiers=(dataclasses.field,))
def struct(cls: Any = None, **options: bool) -> Any:
    """Make a class of annotated fields a struct of the language.

    In Python it is a dataclass, and takes a dataclass's options (frozen, order, eq, kw_only, repr, unsafe_hash,
    match_args, slots). In compiled code a frozen struct is a value and a mutable one a reference to storage, so
    `b = a` aliases, as in Python. Methods and operators are compiled with it. Arguments of a mutable struct are
    copied in, and their fields are written back after the call.
    """
    for name in options:
        if name not in OPTIONS:
            hint = f"its options are {', '.join(OPTIONS)}"
            raise BadDecorator(detail=f"@struct has no option '{name}'", hint=hint)

    def make(c: type) -> type:
        if not isinstance(c, type):
            raise BadDecorator(detail="@struct decorates a class", hint="for functions use @fn")
        if dataclasses.is_dataclass(c) and "__dataclass_fields__" in vars(c):
            detail = f"{c.__name__} is a dataclass already"
            raise BadDecorator(detail=detail, hint="write @struct instead of @dataclass")
        made = dataclasses.dataclass(c, **options)  # type: ignore[call-overload]
        made.__sapwood_struct__ = StructInfo(made, options)  # type: ignore[attr-defined]
        return made

    return make if cls is None else make(cls)


def is_struct(x: Any) -> bool:
    """Whether `x` is a @struct class or an instance of one; known at compile time."""
    return hasattr(x if isinstance(x, type) else type(x), "__sapwood_struct__")


@dataclasses.dataclass(frozen=True)
class FieldInfo:
    """One field of a struct: its name and its type, as `fields` gives them."""

    name: str
    type: Any


def fields(x: Any) -> tuple[FieldInfo, ...]:
    """The fields of a @struct class or instance, in order, with evaluated types; known at compile time."""
    info = getattr(x if isinstance(x, type) else type(x), "__sapwood_struct__", None)
    if info is None:
        raise TypeError(f"fields() takes a @struct, not {x!r}")
    return tuple(FieldInfo(n, a) for n, a in info.annotations().items())
