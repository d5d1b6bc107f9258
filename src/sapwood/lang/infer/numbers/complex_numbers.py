"""Complex numbers: an aggregate of two floats, with Python's arithmetic.

`complex` is two f64, `c64` two f32. Real operands become complex first, as in CPython 3.11 to 3.13. What is more
than a few operations is written in the language (library/complex_math.py).
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadConversion, BadOperand, NoOperator
from sapwood.lang.errors.numbers import ComplexOrder
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import Clash, complex_spec, join
from sapwood.lang.ops import arith
from sapwood.lang.types import BOOL, F64
from sapwood.lang.values import Agg, Known, Spec, Value, describe, spec_of

if TYPE_CHECKING:
    from sapwood.lang.infer.walker import FunctionWalker as Walker

ORDER = (operator.lt, operator.le, operator.gt, operator.ge)


def is_complex_value(x: Value) -> bool:
    if isinstance(x, Agg):
        return isinstance(x.type, ty.Complex)
    return isinstance(x, Known) and isinstance(x.value, complex)


def make(re: Var, im: Var) -> Agg:
    assert isinstance(re.type, ty.Scalar)
    return Agg(ty.Complex(re.type), (re, im))


def parts(b: Any, x: Value, elem: ty.Scalar) -> tuple[Var, Var]:
    """Real and imaginary part of a number, in a float type."""
    if isinstance(x, Known):
        return b.const(x.value.real, elem), b.const(x.value.imag, elem)
    if isinstance(x, Agg):
        re, im = x.items
        return b.convert(re, elem), b.convert(im, elem)
    assert isinstance(x, Var) and isinstance(x.type, ty.Scalar)
    return b.convert(x, elem), b.const(0.0, elem)


def _common(b: Any, symbol: str, x: Value, y: Value) -> ty.Scalar:
    """The float type that two operands are computed in: literals follow, as with floats."""
    if isinstance(x, Known) and isinstance(y, Known):
        return F64
    specs = [spec_of(v) for v in (x, y)]
    for i, s in enumerate(specs):
        if isinstance(s.data, ty.Scalar) and s.data == BOOL:
            specs[i] = complex_spec(F64)
        elif s.kind == "known" and isinstance(s.data.value, bool):
            specs[i] = spec_of(Known(int(s.data.value)))
    try:
        return join(specs[0], specs[1]).data.elem
    except (Clash, AttributeError):
        if {type(v.type) for v in (x, y) if isinstance(v, Agg)} == {ty.Complex}:  # c64 with f64: the wider
            others = [v for v in (x, y) if isinstance(v, Var) and isinstance(v.type, ty.Scalar)]
            if others or all(isinstance(v, Agg) for v in (x, y)):
                return F64
        hint = "both operands must be numbers"
        raise NoOperator(b.loc, left=describe(x), op=symbol, right=describe(y), hint=hint) from None


def binary(b: Any, fn: Any, x: Value, y: Value) -> Value:
    """An operator with a complex operand."""
    from sapwood.lang.library import complex_math
    from sapwood.lang.ops.operators import SYMBOLS

    symbol = SYMBOLS[fn]
    if fn in ORDER:
        raise ComplexOrder(b.loc, op=symbol, left=describe(x), right=describe(y))
    elem = _common(b, symbol, x, y)
    if fn in (operator.eq, operator.ne):
        return _equality(b, fn, x, y, elem)
    p, q = parts(b, x, elem), parts(b, y, elem)
    match fn:
        case operator.add | operator.sub:
            op = arith.add if fn is operator.add else arith.sub
            return make(*(b.emit1(op, (i, j), elem) for i, j in zip(p, q, strict=True)))
        case operator.mul:
            return make(*_product(b, p, q, elem))
        case operator.truediv:
            function = complex_math.quotient_unchecked if b.unchecked else complex_math.quotient
            result = b.interpreter.call_function(function, (*p, *q))
            assert isinstance(result, Agg)
            return make(*result.items)  # type: ignore[arg-type]
        case operator.pow:
            wide = [make(*(b.convert(v, F64) for v in pair)) for pair in (p, q)]
            result = b.interpreter.call_function(complex_math.power, tuple(wide))
            return make(*parts(b, result, elem))
    hint = "complex numbers have + - * / and **" if fn is not operator.mod else "complex numbers have no remainder"
    raise NoOperator(b.loc, left=describe(x), op=symbol, right=describe(y), hint=hint)


def _product(b: Any, p: tuple[Var, Var], q: tuple[Var, Var], elem: ty.Scalar) -> tuple[Var, Var]:
    def times(i: Var, j: Var) -> Var:
        return b.emit1(arith.mul, (i, j), elem)

    re = b.emit1(arith.sub, (times(p[0], q[0]), times(p[1], q[1])), elem)
    return re, b.emit1(arith.add, (times(p[0], q[1]), times(p[1], q[0])), elem)


def _equality(b: Any, fn: Any, x: Value, y: Value, elem: ty.Scalar) -> Value:
    """Equal parts; a real number is compared as it is, so that large ints are not rounded."""
    from sapwood.lang.ops.operators import binary as real_binary
    from sapwood.lang.ops.operators import logical_not

    if not is_complex_value(x):
        x, y = y, x
    p = parts(b, x, elem)
    if is_complex_value(y):
        q = parts(b, y, elem)
        tests = [b.emit1(arith.compare, (i, j), BOOL, test="eq") for i, j in zip(p, q, strict=True)]
    else:
        zero = b.emit1(arith.compare, (p[1], b.const(0.0, elem)), BOOL, test="eq")
        tests = [zero, b.materialize(real_binary(b, operator.eq, p[0], y))]
    both = b.emit1(arith.band, tuple(tests), BOOL)
    return both if fn is operator.eq else logical_not(b, both)


def unary(b: Any, fn: Any, x: Agg) -> Value:
    if fn is operator.pos:
        return x
    if fn is operator.neg:
        return make(*(b.emit1(arith.neg, (v,), v.type) for v in x.items))  # type: ignore[union-attr]
    raise NoOperator(b.loc, left="~", op="on", right=describe(x), hint="bit operations need ints")


def truth(b: Any, x: Agg) -> Var:
    tests = [b.convert(v, BOOL) for v in x.items]
    return b.emit1(arith.bor, tuple(tests), BOOL)


def absolute(b: Any, x: Agg) -> Value:
    from sapwood.lang.library import complex_math, math

    function = math.hypot if b.unchecked or x.type.elem != F64 else complex_math.absolute  # type: ignore[attr-defined]
    return b.interpreter.call_function(function, x.items)


def construct(w: Walker, f: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """`complex(x)`, `complex(re, im)`; either may be complex itself. `c64(...)` likewise."""
    from sapwood.lang.api.dtypes import complex_type
    from sapwood.lang.errors import WrongArgumentCount

    b = w.b
    number = complex_type(f)
    assert number is not None
    given = dict(zip(("real", "imag"), args, strict=False))
    if len(args) > 2 or kwargs.keys() - {"real", "imag"} or given.keys() & kwargs.keys():
        raise WrongArgumentCount(
            b.loc, function=f.__name__, problem="takes a real and an imaginary part", signature=f"{f.__name__}(re, im)"
        )
    given |= kwargs
    if f is complex and all(isinstance(v, Known) for v in given.values()):
        return Known(complex(*(given.get(n, Known(0)).value for n in ("real", "imag")[: max(len(given), 1)])))  # type: ignore[union-attr]
    if len(given) == 1 and isinstance(text := given.get("real"), Var) and text.type == ty.Ref(ty.Str()):
        from sapwood.lang.infer.border import box, unbox
        from sapwood.lang.infer.python_objects import call_object

        found = call_object(w, box(w, Known(complex)), [text], {})
        return unbox(w, found, Spec("agg", number, (Spec("leaf", number.elem), Spec("leaf", number.elem))))
    pairs = [_number_parts(b, v, number.elem) for v in given.values()]
    if len(pairs) == 1 and "imag" not in given:
        return make(*pairs[0])
    re = _number_parts(b, given.get("real", Known(0)), number.elem)
    im = _number_parts(b, given.get("imag", Known(0)), number.elem)
    # an imaginary part that is complex itself turns by a quarter
    first = b.emit1(arith.sub, (re[0], im[1]), number.elem) if is_complex_value(given.get("imag", Known(0))) else re[0]
    is_wide = is_complex_value(given.get("real", Known(0)))
    second = b.emit1(arith.add, (im[0], re[1]), number.elem) if is_wide else im[0]
    return make(first, second)


def _number_parts(b: Any, x: Value, elem: ty.Scalar) -> tuple[Var, Var]:
    if isinstance(x, Var) and x.type == ty.Ref(ty.Object()):
        from sapwood.lang.infer.border import unbox

        found = unbox(b.interpreter.frames[-1], x, complex_spec(elem))
        assert isinstance(found, Agg)
        return parts(b, found, elem)
    literal = isinstance(x, Known) and isinstance(x.value, int | float | complex)
    number = isinstance(x, Var) and isinstance(x.type, ty.Scalar)
    if not literal and not number and not is_complex_value(x):
        hint = "a part must be a number" if not isinstance(x, Known) else "text is not parsed here; write the number"
        raise BadConversion(b.loc, found=describe(x), expected=ty.Complex(elem), hint=hint)
    return parts(b, x, elem)


# -- attributes ----------------------------------------------------------------------------------------


def attribute(x: Agg, name: str) -> Value | None:
    if name in ("real", "imag"):
        return x.items[("real", "imag").index(name)]
    if name == "dtype":
        from sapwood.lang.api.dtypes import dtype_of

        assert isinstance(x.type, ty.Complex)
        return Known(dtype_of(x.type))
    return None


def _conjugate(w: Walker, x: Agg) -> Value:
    re, im = x.items
    assert isinstance(re, Var) and isinstance(im, Var)
    return make(re, w.b.emit1(arith.neg, (im,), im.type))


METHODS = {"conjugate": _conjugate}


# -- for the functions of cmath ------------------------------------------------------------------------


def as_complex(b: Any, x: Value, function: str) -> Agg:
    """A number as a complex of f64."""
    number = isinstance(x, Known) and isinstance(x.value, int | float | complex)
    if not number and not is_complex_value(x) and not (isinstance(x, Var) and isinstance(x.type, ty.Scalar)):
        detail = f"takes a number, not {describe(x)}"
        raise BadOperand(b.loc, function=function, detail=detail, hint="pass a complex, float or int")
    return make(*parts(b, x, F64))

