"""Functions that are chosen at run time: one address, with the signature that the annotations of all of them give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.declared import Declared, declare, spec_of_declared
from sapwood.lang.errors import ClosureEscapes, Loc, WrongArgumentCount
from sapwood.lang.infer.adapt import fresh
from sapwood.lang.infer.fit import fit_argument
from sapwood.lang.infer.interpreter import require_stack_check
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import control
from sapwood.lang.signatures import declared_parameters, evaluate_annotation
from sapwood.lang.values import Value, describe, leaves_of, rebuild

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker


def signature_of(fn: Any) -> ty.FunctionPointer | None:
    """The type of the address of a compiled function; None where its annotations leave something open."""
    if not getattr(type(fn), "__sapwood_function__", False) or fn.options.kernel:
        return None
    from sapwood.lang.front.ast2hir import lower_function

    code = lower_function(fn.__wrapped__)
    if any(p.star or p.keyword_only for p in code.params) or code.returns is None:
        return None
    params = tuple(declared_parameters(fn))
    loc = code.returns.loc
    annotation = evaluate_annotation(code.returns.value, fn.__wrapped__, loc, "return")  # type: ignore[attr-defined]
    return pointer_type(params, declare(annotation, "return", loc))


def pointer_type(params: tuple[Declared, ...], result: Declared) -> ty.FunctionPointer | None:
    if any(spec_of_declared(d) is None for d in (*params, result)):
        return None
    return ty.FunctionPointer(params, result)


def function_address(b: Any, fn: Any, leaf: ty.FunctionPointer) -> Var:
    """The address of a compiled function as a value of its pointer type."""
    interp = b.interpreter
    if interp.kernel is not None:
        raise ClosureEscapes(b.loc, detail="a kernel cannot choose between functions at run time")
    loc, region = b.loc, b.region
    specs = [spec_of_declared(d) for d in leaf.params]
    instance = interp.instance(fn, tuple(fresh(s)[0] for s in specs), plain=True)  # type: ignore[arg-type]
    b.loc, b.region = loc, region
    result = spec_of_declared(leaf.result)
    if instance.result is not None and instance.result != result:
        detail = f"'{fn.__wrapped__.__name__}' returns {describe(instance.result)}, not {leaf.result}"
        raise ClosureEscapes(loc, detail=detail)
    require_stack_check(instance)
    return b.emit1(control.function_address, (), leaf, function=instance.function)


def call_pointer(w: Walker, pointer: Var, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value:
    leaf = pointer.type
    assert isinstance(leaf, ty.FunctionPointer)
    if kwargs or len(args) != len(leaf.params):
        problem = f"takes {len(leaf.params)} arguments by position, but {len(args) + len(kwargs)} were given"
        problem = "takes no keywords" if kwargs else problem
        raise WrongArgumentCount(loc, function="this function", problem=problem, signature=str(leaf))
    fitted = [
        fit_argument(w.b, d, v, {}, str(i + 1), "this function", None)
        for i, (d, v) in enumerate(zip(leaf.params, args, strict=True))
    ]
    spec = spec_of_declared(leaf.result)
    assert spec is not None
    operands = (pointer, *(x for v in fitted for x in leaves_of(v)))
    w.b.loc = loc
    return rebuild(spec, iter(w.b.emit(control.call_indirect, operands, tuple(spec.leaves()))))

