"""The scalar dtypes: `f32`, `i64`, ...

Each is a class, so that it can annotate a parameter, convert a value (`f32(x)`), and box one: outside
compiled code `f32(1.5) + 1` computes with the machine's meaning, by the reference rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sapwood.lang import types as ty
from sapwood.lang.oracles.boxed import Boxed


class Number(Boxed):
    """Base of the dtypes; an instance is one boxed number."""

    scalar: ClassVar[ty.Scalar]

    def __init__(self, value: Any = 0) -> None:
        super().__init__(self.scalar, value)

    def __index__(self) -> int:
        if self.scalar.is_float:
            raise TypeError(f"{self.scalar} cannot be used as an index")
        return int(self.value)


if TYPE_CHECKING:
    # A checker sees Python's numbers: they are what callers pass and what bodies compute with.
    i8 = i16 = i32 = i64 = u8 = u16 = u32 = u64 = int
    f16 = bf16 = f32 = f64 = float
    c64 = complex
else:

    class i8(Number):
        """8-bit signed int; arithmetic wraps."""

        scalar = ty.I8

    class i16(Number):
        """16-bit signed int; arithmetic wraps."""

        scalar = ty.I16

    class i32(Number):
        """32-bit signed int; arithmetic wraps."""

        scalar = ty.I32

    class i64(Number):
        """64-bit signed int; arithmetic wraps. `int` in an annotation means the same."""

        scalar = ty.I64

    class u8(Number):
        """8-bit unsigned int; arithmetic wraps."""

        scalar = ty.U8

    class u16(Number):
        """16-bit unsigned int; arithmetic wraps."""

        scalar = ty.U16

    class u32(Number):
        """32-bit unsigned int; arithmetic wraps."""

        scalar = ty.U32

    class u64(Number):
        """64-bit unsigned int; arithmetic wraps."""

        scalar = ty.U64

    class f16(Number):
        """IEEE 754 binary16; each operation computes in f32 and rounds once."""

        scalar = ty.F16

    class bf16(Number):
        """bfloat16, the upper half of an f32; each operation computes in f32 and rounds once."""

        scalar = ty.BF16

    class f32(Number):
        """IEEE 754 binary32."""

        scalar = ty.F32

    class f64(Number):
        """IEEE 754 binary64. `float` in an annotation means the same."""

        scalar = ty.F64


    class c64(Boxed):
        """A complex number of two f32. (Of two f64: Python's `complex`.)"""

        def __init__(self, real: Any = 0, imag: Any = 0) -> None:
            whole = complex(real, imag) if imag != 0 else complex(real)
            object.__setattr__(self, "type", ty.COMPLEX64)
            object.__setattr__(self, "value", tuple(f32(v).value for v in (whole.real, whole.imag)))

        real = property(lambda self: f32(self.value[0]))
        imag = property(lambda self: f32(self.value[1]))
        dtype = property(lambda self: c64)

        def conjugate(self) -> Any:
            return c64(complex(self.value[0], -self.value[1]))

        def __complex__(self) -> complex:
            return complex(*self.value)

        def __bool__(self) -> bool:
            return complex(self) != 0

        def __repr__(self) -> str:
            return f"c64({complex(self)!r})"


DTYPES: tuple[Any, ...] = (i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64)
_BY_NAME: dict[str, Any] = {d.scalar.name: d for d in DTYPES} | {"bool": bool}
_PYTHON = {int: ty.I64, float: ty.F64, bool: ty.BOOL}


def scalar_type(x: Any) -> ty.Scalar | None:
    """The scalar type behind a dtype class or Python's int, float and bool; None for anything else."""
    if isinstance(x, type):
        if issubclass(x, Number) and x is not Number:
            return x.scalar
        return _PYTHON.get(x)
    return x if isinstance(x, ty.Scalar) else None


def complex_type(x: Any) -> ty.Complex | None:
    """The type behind Python's complex and `c64`; None for anything else."""
    if x is complex:
        return ty.COMPLEX
    return ty.COMPLEX64 if x is c64 else x if isinstance(x, ty.Complex) else None


def dtype_of(scalar: ty.Scalar | ty.Complex) -> Any:
    """The public class of a scalar or complex type."""
    if isinstance(scalar, ty.Complex):
        return complex if scalar == ty.COMPLEX else c64
    return _BY_NAME[scalar.name]
