"""What the parameters of a function are declared as: its annotations, evaluated where it was defined."""

from __future__ import annotations

import builtins
from inspect import Parameter, signature
from types import FunctionType
from typing import Any

from sapwood.lang.declared import ANY, Declared, declare
from sapwood.lang.errors import CompileError, Loc
from sapwood.lang.errors.hints import TYPES

_DECLARED: dict[Any, list[Declared]] = {}


def declared_parameters(fn: Any) -> list[Declared]:
    """Declared types of a function's parameters, evaluated once; ANY where it has no annotation."""
    python = fn.__wrapped__
    found = _DECLARED.get(python)
    if found is None:
        found = _declared(python)
        _DECLARED[python] = found = _declared_with_places(python) if found is None else found
    return found


def _declared(python: FunctionType) -> list[Declared] | None:
    """What the annotations say, without a look at the source; None where that is a mistake."""
    try:
        parameters = signature(python).parameters.values()
        if any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
            return None
        return [_declare(p, python) for p in parameters]
    except (CompileError, NameError):
        return None


def _declare(p: Parameter, python: FunctionType) -> Declared:
    if p.annotation is Parameter.empty:
        return ANY
    text = p.annotation if isinstance(p.annotation, str) else ""
    return declare_parameter(evaluate_annotation(text, python, None, p.name), python.__name__, p.name, None)


def declare_parameter(annotation: Any, function: str, name: str, loc: Loc | None) -> Declared:
    """What an evaluated annotation of a parameter says."""
    anything = annotation is object and function.startswith("__")  # `def __eq__(self, other: object)`
    return ANY if anything else declare(annotation, name, loc)


def _declared_with_places(python: FunctionType) -> list[Declared]:
    """The same from the source, so that a diagnostic names the place."""
    from sapwood.lang.front.ast2hir import lower_function
    from sapwood.lang.infer.interpreter import declare_parameters

    return declare_parameters(lower_function(python), python)


def evaluate_annotation(text: str, python: FunctionType | None, loc: Loc | None, name: str, own: bool = True) -> Any:
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
            import difflib

            close = difflib.get_close_matches(e.name, [*scope, *dir(builtins)], 1)
            hint = f"did you mean '{close[0]}'?" if close else f"'{e.name}' is not defined; import or define it"
        raise BadAnnotation(loc, name=name, found=text, hint=hint) from None
    return eval(value, scope) if isinstance(value, str) else value
