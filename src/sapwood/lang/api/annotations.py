"""The generic types: `SIMD[f32, 8]`, `Tensor[f32, 2]`, `Ptr[u8]`, `StackArray[f32, 16]`, `Const[int]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from sapwood.lang.api.operators import Operators
from sapwood.lang.immutable import immutable

T = TypeVar("T")


@immutable
class Parameterised:
    """What `SIMD[f32, 8]` is at run time: the generic class and its arguments. Calling it constructs."""

    origin: Any
    args: tuple[Any, ...]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.origin.construct(self.args, *args, **kwargs)

    def __repr__(self) -> str:
        names = ", ".join(getattr(a, "__name__", repr(a)) for a in self.args)
        return f"{self.origin.__name__}[{names}]"

    def __or__(self, other: Any) -> Any:
        return NotImplemented


class _Generic:
    arity: tuple[int, ...] = (1,)

    def __class_getitem__(cls, args: Any) -> Any:
        items = args if isinstance(args, tuple) else (args,)
        if len(items) not in cls.arity:
            want = " or ".join(map(str, cls.arity))
            raise TypeError(f"{cls.__name__}[...] takes {want} arguments, got {len(items)}")
        return Parameterised(cls, items)

    @classmethod
    def construct(cls, parameters: tuple[Any, ...], *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{cls.__name__} values are made in compiled code only")


if TYPE_CHECKING:
    # For type checkers the generics accept any parameters and give values of any attribute, as the
    # compiler decides what is legal.
    class _Value(Operators):
        def __class_getitem__(cls, args: Any) -> Any: ...
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Any: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[Any]: ...

    class SIMD(_Value): ...

    class Tensor(_Value): ...

    class Ptr(_Value): ...

    class StackArray(_Value): ...

    # `Const[int]` is an int that is known early; a checker sees the int.
    Const = Annotated[T, "compile-time constant"]

else:

    class SIMD(_Generic):
        """`SIMD[dtype, lanes]`: a vector in registers; lanes is a power of two.

        `SIMD[f32, 8](x)` puts a number into every lane, `SIMD[f32, 4](a, b, c, d)` gives each its own.
        Arithmetic is lane by lane and follows IEEE; comparisons give SIMD[bool, lanes].
        """

        arity = (2,)

        @classmethod
        def construct(cls, parameters, *args):
            from sapwood.lang.oracles.boxed import make_simd

            return make_simd(parameters, args)

    class Tensor(_Generic):
        """`Tensor[dtype, rank]`: a view of memory: pointer, shape, strides in elements.

        From Python pass a NumPy array, a `sapwood.Array`, or anything with the buffer protocol or DLPack.
        """

        arity = (2,)

    class Ptr(_Generic):
        """`Ptr[dtype]`: an address. `p[i]`, `p + n`, `p.load(i, width=8)`, `p.store(i, v)`, `p.cast(u8)`."""

        arity = (1,)

    class StackArray(_Generic):
        """`StackArray[dtype, size]()`: storage in the frame of the function, of compile-time size."""

        arity = (2,)

        @classmethod
        def construct(cls, parameters, *args):
            from sapwood.lang.oracles.boxed import make_stack_array

            return make_stack_array(parameters, args)

    class Const(_Generic):
        """`Const[int]`: a parameter that is known at compile time; the function is compiled for each value."""

        arity = (1,)
