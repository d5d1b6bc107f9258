"""Compiling before the first call: what annotations say of the arguments is enough."""

from __future__ import annotations

from typing import Any, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.border.arguments import ConstArg, ObjectArg, PointerArg, ScalarArg, StructArg, TensorArg, TupleArg
from sapwood.lang.border.classify import classify
from sapwood.lang.declared import Declared, concrete_type, fields_of, spec_of_declared
from sapwood.lang.errors import CompileError
from sapwood.lang.function import wrap_function
from sapwood.lang.signatures import declared_parameters
from sapwood.lang.values import Known


class OpenType(Exception):
    """A parameter whose annotation leaves open what it is given."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"what '{name}' is given decides what is compiled")


def arguments_from_annotations(fn: Any) -> list[Any]:
    """The kinds of argument that a compiled function's annotations name; arrays are C-contiguous.

    Raises CompileError for an annotation that is not a type of the language, OpenType for one that leaves a choice.
    """
    parameters = fn.state.signature.parameters.values()
    out = []
    for p, declared in zip(parameters, declared_parameters(fn), strict=True):
        try:
            out.append(argument_of(declared, p.name))
        except OpenType:
            if p.default is p.empty:
                raise
            out.append(classify(declared, p.default, p.name, fn.__name__, wrap_function))
    return out


def argument_of(declared: Declared, name: str) -> Any:
    match declared.kind:
        case "scalar":
            return ScalarArg(declared.args[0])
        case "none":
            return ConstArg(Known(None))
        case "tensor" if not any(isinstance(a, TypeVar) for a in declared.args):
            return TensorArg(declared.args[0], declared.args[1], "contiguous")
        case "tuple":
            return TupleArg(tuple(argument_of(d, name) for d in declared.args))
        case "ptr":
            elem = concrete_type(declared.args[0])
            if elem is not None:
                return PointerArg(elem)
        case "struct":
            cls = declared.args[0]
            t = concrete_type(declared)
            if isinstance(t, ty.Struct) and (t.args or not cls.__sapwood_struct__.parameters):
                return StructArg(cls, tuple((n, argument_of(d, f"{name}.{n}")) for n, d in fields_of(t)))
        case "const" | "function" | "typevar" | "any" | "protocol" | "number":
            pass
        case _:
            spec = spec_of_declared(declared)
            if spec is not None:
                return ObjectArg(spec)
    raise OpenType(name)


def compile_ahead(fn: Any) -> None:
    """Compile a function for what its annotations name, and keep the code in the cache.

    Raises CompileError with the mistake, OpenType if only a call can tell what to compile.
    """
    try:
        fn.state.specialise(arguments_from_annotations(fn))
    except CompileError as e:
        e.__traceback__ = None
        raise


def check_syntax(fn: Any) -> None:
    """What can be said of a function before it is called: its syntax. Raises CompileError."""
    from sapwood.lang.front.ast2hir import lower_function

    lower_function(fn.__wrapped__)
    declared_parameters(fn)
