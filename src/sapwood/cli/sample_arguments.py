"""Values of given types, for compiling a function without calling it."""

from __future__ import annotations

import ast
import typing
from typing import Any

from sapwood.cli.errors import CommandError
from sapwood.lang.api.annotations import Parameterised, Ptr, Tensor
from sapwood.lang.api.dtypes import dtype_of, scalar_type
from sapwood.lang.signatures import declared_parameters
from sapwood.runtime.array import Array


def from_annotations(function: Any) -> list[Any]:
    """One value for each parameter of a decorated function. Raises CommandError where a type leaves a choice."""
    values = []
    parameters = list(function.__signature__.parameters.values())
    for parameter, declared in zip(parameters, declared_parameters(function), strict=True):
        if declared.kind in ("const", "function", "typevar", "any") and parameter.default is not parameter.empty:
            values.append(parameter.default)
        else:
            values.append(_of_declared(declared, f"parameter '{parameter.name}'"))
    return values


def from_text(text: str, names: dict[str, Any]) -> list[Any]:
    """Values for the types in `text`; `names` holds the structs that it may mention. Raises CommandError."""
    if not text.strip():
        return []
    try:
        tree = ast.parse(f"({text},)", mode="eval")
    except SyntaxError as error:
        raise CommandError(f"--args {text!r}: {error.msg}") from None
    assert isinstance(tree.body, ast.Tuple)
    return [_sample(_evaluate(node, names, text), ast.unparse(node)) for node in tree.body.elts]


def _evaluate(node: ast.expr, names: dict[str, Any], text: str) -> Any:
    """The object that a type expression names: names, subscripts, tuples and literals only."""
    import sapwood

    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Tuple(elts=items):
            return tuple(_evaluate(item, names, text) for item in items)
        case ast.Name(id=name):
            builtin = {"int": int, "float": float, "bool": bool, "tuple": tuple}
            found = names.get(name, builtin.get(name))
            if found is None and name in sapwood.__all__:
                found = getattr(sapwood, name)
            if found is not None:
                return found
            raise CommandError(f"--args {text!r}: {name!r} is not a type here")
        case ast.Subscript(value=value, slice=index):
            generic = _evaluate(value, names, text)
            try:
                return generic[_evaluate(index, names, text)]
            except TypeError as error:
                raise CommandError(f"--args {text!r}: {error}") from None
    raise CommandError(f"--args {text!r}: {ast.unparse(node)!r} is not a type")


def _sample(kind: Any, where: str) -> Any:
    """A value of a type that was evaluated; a value stands for itself."""
    if kind is int or kind is float or kind is bool:
        return kind(0)
    scalar = scalar_type(kind)
    if scalar is not None:
        return dtype_of(scalar)(0)
    if isinstance(kind, Parameterised):
        if kind.origin is Tensor:
            return _tensor(scalar_type(kind.args[0]), kind.args[1], where)
        if kind.origin is Ptr:
            return 0
        raise CommandError(f"{where}: values of this type are made in compiled code only")
    if typing.get_origin(kind) is tuple:
        return tuple(_sample(item, where) for item in typing.get_args(kind))
    if isinstance(kind, type):
        if hasattr(kind, "__sapwood_struct__"):
            return _struct(kind, where)
        raise CommandError(f"{where}: {kind.__name__} is not a type of the language")
    return kind


def _tensor(scalar: Any, rank: Any, where: str) -> Any:
    if scalar is None or not isinstance(rank, int) or not 0 <= rank <= 8:
        raise CommandError(f"{where}: a Tensor has a dtype and a rank, as in Tensor[f32, 2]")
    return Array.zeros((2,) * rank, scalar.name)


def _struct(cls: Any, where: str) -> Any:
    fields = cls.__sapwood_struct__.annotations().items()
    return cls(**{name: _sample(kind, f"{where}, field '{name}'") for name, kind in fields})


def _of_declared(declared: Any, where: str) -> Any:
    match declared.kind:
        case "scalar":
            return dtype_of(declared.args[0])(0)
        case "tensor" if not any(isinstance(a, typing.TypeVar) for a in declared.args):
            return _tensor(declared.args[0], declared.args[1], where)
        case "ptr":
            return 0
        case "none":
            return None
        case "tuple":
            return tuple(_of_declared(item, where) for item in declared.args)
        case "struct":
            return _struct(declared.args[0], where)
    raise CommandError(f"{where} has the type {declared}, which leaves a choice; give --args")
