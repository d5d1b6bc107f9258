"""Emits SSA: the insertion point, constants, implicit conversions, and checks that raise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sapwood.lang import library
from sapwood.lang.bits import int_range
from sapwood.lang.errors import NOWHERE, BadConversion, LiteralOverflow, Loc, NotConstant
from sapwood.lang.ir.ssa import Op, Region, Var
from sapwood.lang.ops.base import Operation
from sapwood.lang.ops.numeric import round_float
from sapwood.lang.types import BOOL, F64, I64, Bytes, Character, Enum, Leaf, Ref, Scalar, Simd, Str, elem_of, like
from sapwood.lang.values import Agg, Known, Value, describe, type_name

if TYPE_CHECKING:
    from sapwood.lang.infer.exceptions import Guard
    from sapwood.lang.infer.interpreter import Interpreter


LIBRARY = os.path.dirname(library.__file__ or "")


class Builder:
    """Where operations go. Typing rules get one and call `emit`, `const`, `coerce` and `raise_if`."""

    def __init__(self, interpreter: Interpreter, region: Region) -> None:
        self.interpreter = interpreter
        self.region = region
        self.loc: Loc = NOWHERE
        self.unchecked = False
        self.guard: Guard | None = None  # the innermost try whose body is being walked
        self.sizes: dict[Var, Any] = {}  # texts whose sizes were read before the loop that is walked (text/sizes.py)
        self.below: dict[Var, set[Var]] = {}  # i -> dims that i is proven to be in [0, dim) of

    @property
    def target(self) -> Any:
        return self.interpreter.target

    # -- emission ---------------------------------------------------------------------------------

    def emit(
        self,
        op: Operation[..., Any],
        operands: tuple[Var, ...] | list[Var] = (),
        types: tuple[Leaf, ...] | list[Leaf] = (),
        attrs: dict[str, Any] | None = None,
        regions: tuple[Region, ...] = (),
        name: str = "",
    ) -> tuple[Var, ...]:
        results = tuple(Var(t, name) for t in types)
        refused = self.interpreter.kernel is not None and any(isinstance(t, Ref) for t in types)  # passes/legality.py
        ours = op.space == "kernel" or refused or self.target.checks
        loc = self.place_of_user() if ours else self.loc
        self.append(Op(op, tuple(operands), results, attrs or {}, regions, loc))
        return results

    def place_of_user(self) -> Loc:
        """Where the code that is not of the library stands: reports of threads that wait, and of accesses in checked
        launches, name its lines."""
        loc = self.loc
        for walker in reversed(self.interpreter.frames):
            if not loc.file.startswith(LIBRARY):
                break
            loc = walker.call_place
        return loc

    def append(self, op: Op) -> None:
        """Put an operation at the insertion point. If it may raise, the try around it notes the names there."""
        self.region.ops.append(op)
        if self.guard is not None and op.op.raises:
            self.guard.record(op)

    def emit1(
        self, op: Operation[..., Any], operands: tuple[Var, ...] | list[Var], type: Leaf, **attrs: Any
    ) -> Var:
        return self.emit(op, operands, (type,), attrs)[0]

    def apply(self, op: Operation[..., Any], *args: Value) -> Any:
        """Use another entry's typing rule."""
        assert op.type_rule is not None
        return op.type_rule(self, *args)

    # -- constants and conversions ----------------------------------------------------------------

    def const(self, value: Any, type: Scalar | Simd) -> Var:
        """A constant of a scalar type, or a vector with that constant in each lane."""
        from sapwood.lang.ops.convert import constant, splat

        elem = elem_of(type)
        if elem.is_float:
            value = round_float(elem, float(value))
        elif elem.kind == "bool":
            value = bool(value)
        else:
            low, high = int_range(elem)
            value = int(value)
            if not low <= value <= high:
                raise LiteralOverflow(self.loc, value=value, type=elem, low=low, high=high)
        var = self.emit1(constant, (), elem, value=value)
        return self.emit1(splat, (var,), type) if isinstance(type, Simd) else var

    def index(self, value: int) -> Var:
        return self.const(value, I64)

    def materialize(self, value: Value, what: str = "this value") -> Var:
        """A leaf for a value that must exist at run time: weak literals get their default types."""
        match value:
            case Var():
                return value
            case Known(value=bool() as v):
                return self.const(v, BOOL)
            case Known(value=int() as v):
                return self.const(v, I64)
            case Known(value=float() as v):
                return self.const(v, F64)
            case Known(value=str() as v):
                from sapwood.lang.ops.text import text_constant

                return self.emit1(text_constant, (), Ref(Str()), text=v)
            case Known(value=bytes() as v):
                from sapwood.lang.ops.text_objects import bytes_constant

                return self.emit1(bytes_constant, (), Ref(Bytes()), data=v)
            case Agg(type=Character(), items=(code,)):
                from sapwood.lang.library.text_object import text_character

                return self.interpreter.call_function(text_character, (code,))  # type: ignore[return-value]
            case Agg(type=Enum()):
                from sapwood.lang.infer.classes.enums import underlying

                found = underlying(self, value)
                if found is not value:
                    return self.materialize(found, what)
        raise BadConversion(
            self.loc, found=describe(value), expected="a number", hint=f"{what} must be a number here"
        )

    def coerce(self, value: Value, type: Leaf) -> Var:
        """Implicit conversion to a declared type: literals take it, ints widen, int -> float. Nothing else."""
        if isinstance(value, Agg) and isinstance(value.type, Enum):
            from sapwood.lang.infer.classes.enums import underlying

            value = underlying(self, value)
        if isinstance(value, Var):
            if value.type == type:
                return value
            if isinstance(type, Scalar | Simd) and isinstance(value.type, Scalar | Simd):
                if implicit(value.type, type):
                    return self.convert(value, type)
        elif isinstance(value, Known) and isinstance(type, Scalar | Simd):
            v, elem = value.value, elem_of(type)
            if isinstance(v, bool):
                if elem.kind == "bool":
                    return self.const(v, type)
            elif isinstance(v, int):
                if elem.kind != "bool":
                    return self.const(v, type)
            elif isinstance(v, float) and elem.is_float:
                return self.const(v, type)
        raise BadConversion(
            self.loc,
            found=describe(value),
            expected=type,
            hint=f"write {type_name(type)}(x) to convert on purpose",
        )

    def convert(self, value: Var, type: Scalar | Simd) -> Var:
        """Explicit conversion; a scalar becomes every lane of a vector."""
        from sapwood.lang.ops.convert import convert, splat

        if value.type == type:
            return value
        assert isinstance(value.type, Scalar | Simd)
        source = elem_of(value.type)
        if isinstance(type, Simd) and isinstance(value.type, Scalar):
            scalar = value if source == type.elem else self.emit1(convert, (value,), type.elem)
            return self.emit1(splat, (scalar,), type)
        return self.emit1(convert, (value,), like(value.type, elem_of(type)))

    def known(self, value: Value, what: str, kind: type | tuple[type, ...] = object) -> Any:
        """The compile-time value, or `NotConstant` naming `what`."""
        if isinstance(value, Known) and isinstance(value.value, kind):
            return value.value
        if isinstance(value, Agg):
            items = [self.known(v, what) for v in value.items]
            if isinstance((), kind):
                return tuple(items)
        found = "a run-time value" if isinstance(value, Var) else describe(value)
        raise NotConstant(self.loc, what=what, found=found)

    # -- checks -----------------------------------------------------------------------------------

    def raise_if(self, test: Var, exception: type[BaseException], message: str, *args: Var) -> None:
        """Raise when `test` holds; `{0}`, `{1}` in the message are the arguments' values."""
        from sapwood.lang.ops.control import raise_if

        self.emit(raise_if, (test, *args), (), {"exception": exception, "message": message})


def implicit(source: Scalar | Simd, target: Scalar | Simd) -> bool:
    """Whether `source` becomes `target` without being asked: same, wider of its kind, or int to float."""
    if isinstance(source, Simd) and (not isinstance(target, Simd) or source.lanes != target.lanes):
        return False
    a, b = elem_of(source), elem_of(target)
    if a == b:
        return True
    if a.kind == "bool" or b.kind == "bool":
        return False
    if a.is_int and b.is_float:
        return True
    if a.is_float and b.is_float:
        return a.bits < b.bits
    if a.kind == b.kind:
        return a.bits < b.bits
    return a.kind == "uint" and b.kind == "int" and a.bits < b.bits
