"""The types of the language.

Only *leaf* types reach the SSA: scalars, SIMD vectors, pointers, accelerator tiles and owning references to heap
objects. Aggregates (tuples, tensors, structs, closures) are types of abstract values; inference explodes them into
leaves, so no later step has to know them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from sapwood.lang.immutable import immutable

Kind = Literal["bool", "int", "uint", "float"]


class Type:
    """Base of every type; types are immutable, hashable, and print as the user writes them."""

    __slots__ = ()


@immutable
class Scalar(Type):
    """A machine scalar. `bits` is the value width (bool is 1 in registers, 8 in memory)."""

    name: str
    kind: Kind
    bits: int

    def __str__(self) -> str:
        return self.name

    @property
    def itemsize(self) -> int:
        return max(8, self.bits) // 8

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        return self.kind in ("int", "uint")

    @property
    def signed(self) -> bool:
        return self.kind == "int"

    @property
    def narrow(self) -> bool:
        """A 16-bit float: stored as bits, computed in f32."""
        return self.kind == "float" and self.bits == 16


BOOL = Scalar("bool", "bool", 1)
I8, I16, I32, I64 = (Scalar(f"i{b}", "int", b) for b in (8, 16, 32, 64))
U8, U16, U32, U64 = (Scalar(f"u{b}", "uint", b) for b in (8, 16, 32, 64))
F16 = Scalar("f16", "float", 16)
BF16 = Scalar("bf16", "float", 16)
F32 = Scalar("f32", "float", 32)
F64 = Scalar("f64", "float", 64)
SCALARS: dict[str, Scalar] = {
    s.name: s for s in (BOOL, I8, I16, I32, I64, U8, U16, U32, U64, F16, BF16, F32, F64)
}


@immutable
class Simd(Type):
    """`SIMD[elem, lanes]`: a vector held in registers."""

    elem: Scalar
    lanes: int

    def __str__(self) -> str:
        return f"SIMD[{self.elem}, {self.lanes}]"


AddressSpace = Literal["generic", "shared", "local"]
Alias = Literal["", "header", "elements"]


@immutable
class Ptr(Type):
    """`Ptr[elem]`: an address. `shared` memory belongs to one GPU block; `local` is a stack slot.

    `alias` says that only such pointers lead to this memory: the words of a heap object, the elements of a container.
    """

    elem: Type
    space: AddressSpace = "generic"
    alias: Alias = ""

    def __str__(self) -> str:
        where = "" if self.space == "generic" else f", {self.space}"
        return f"Ptr[{self.elem}{where}]"


@immutable
class Tile(Type):
    """A matrix-unit register (AMX): `rows` x `row_bytes`."""

    rows: int
    row_bytes: int

    def __str__(self) -> str:
        return f"Tile[{self.rows}, {self.row_bytes}]"


@immutable
class Ref(Type):
    """An owning reference to a heap object, counted; `nullable`: it may be None, as a null pointer."""

    target: HeapType
    nullable: bool = False

    def __str__(self) -> str:
        return f"{self.target} | None" if self.nullable else str(self.target)


@immutable
class FunctionPointer(Type):
    """A compiled function chosen at run time: `Callable[[int, float], float]`."""

    params: tuple[Any, ...]  # lang.declared.Declared
    result: Any

    def __str__(self) -> str:
        return f"Callable[[{', '.join(map(str, self.params))}], {self.result}]"


Leaf = Scalar | Simd | Ptr | Tile | Ref | FunctionPointer


# -- heap objects -----------------------------------------------------------------------------------


class HeapType(Type):
    """What a reference points to. Memory: {i64 count of references, ptr drop function}, then its own words."""

    __slots__ = ()


@immutable
class List(HeapType):
    """`list[T]`: words 2, 3 and 4 are length, capacity and the address of the elements. `elem` is a values.Spec."""

    elem: Any

    def __str__(self) -> str:
        return f"list[{_show(self.elem)}]"


@immutable
class TupleOf(HeapType):
    """`tuple[T, ...]`: a tuple whose length only run time knows, laid out as a list."""

    elem: Any

    def __str__(self) -> str:
        return f"tuple[{_show(self.elem)}, ...]"


@immutable
class Dict(HeapType):
    """`dict[K, V]`: entries in the order of insertion and a table of their places; words in library/dict.py.

    `default`: what a defaultdict makes of a key that it lacks, a function that is known at compile time.
    """

    key: Any
    value: Any
    default: Any = None

    def __str__(self) -> str:
        name = "dict" if self.default is None else "defaultdict"
        return f"{name}[{_show(self.key)}, {_show(self.value)}]"


@immutable
class Counter(Dict):
    """`collections.Counter`: a dict whose values are ints."""

    def __str__(self) -> str:
        return f"Counter[{_show(self.key)}]"


@immutable
class Set(HeapType):
    """`set[T]`, or `frozenset[T]`: a table of open addressing as CPython's; words in library/set.py."""

    elem: Any
    frozen: bool = False

    def __str__(self) -> str:
        return f"{'frozenset' if self.frozen else 'set'}[{_show(self.elem)}]"


@immutable
class Deque(HeapType):
    """`collections.deque`: a ring of elements; words in library/deque.py."""

    elem: Any

    def __str__(self) -> str:
        return f"deque[{_show(self.elem)}]"


@immutable
class Str(HeapType):
    """`str`: UTF-8, immutable."""

    def __str__(self) -> str:
        return "str"


@immutable
class Bytes(HeapType):
    """`bytes`: laid out as a str of as many code points as bytes."""

    def __str__(self) -> str:
        return "bytes"


@immutable
class ByteArray(HeapType):
    """`bytearray`: words 2, 3 and 4 are length, capacity and the address of the bytes."""

    def __str__(self) -> str:
        return "bytearray"


@immutable
class MemoryView(HeapType):
    """`memoryview` of one axis: words in library/memory_view.py. `elem` is what its format says."""

    elem: Any

    def __str__(self) -> str:
        return "memoryview" if self.elem == U8 else f"memoryview of {self.elem}"


@immutable
class PythonBuffer(HeapType):
    """The memory of a Python object that a memoryview looks at: a Py_buffer."""

    def __str__(self) -> str:
        return "buffer"


@immutable
class HeapStruct(HeapType):
    """An object of a @struct class on the heap: its fields follow the header, laid out as C does."""

    struct: Struct

    def __str__(self) -> str:
        return str(self.struct)


@immutable
class Object(HeapType):
    """`object`: any Python object. The count is CPython's."""

    def __str__(self) -> str:
        return "object"


@immutable
class Stored(Type):
    """How a value of a spec (values.Spec) lies in memory: its leaves in order, aligned as C does."""

    spec: Any

    def __str__(self) -> str:
        return _show(self.spec)


def _show(spec: Any) -> str:
    from sapwood.lang.values import describe

    return describe(spec)


# -- aggregates -------------------------------------------------------------------------------------

Layout = Literal["contiguous", "inner", "strided"]


@immutable
class Tuple(Type):
    """A tuple; `labels` names the items of a namedtuple-like aggregate (for printing only)."""

    size: int

    def __str__(self) -> str:
        return f"tuple of {self.size}"


@immutable
class Complex(Type):
    """`complex` (of f64) or `c64` (of f32): a value of two leaves, the real and the imaginary part."""

    elem: Scalar

    def __str__(self) -> str:
        return "complex" if self.elem == F64 else "c64"

    @property
    def name(self) -> str:
        return "c128" if self.elem == F64 else "c64"

    @property
    def itemsize(self) -> int:
        return 2 * self.elem.itemsize


COMPLEX, COMPLEX64 = Complex(F64), Complex(F32)
ELEMENTS: dict[str, Scalar | Complex] = {**SCALARS, "c64": COMPLEX64, "c128": COMPLEX}  # of arrays, by dtype


@immutable
class Tensor(Type):
    """`Tensor[elem, rank]`: pointer, shape and strides (in elements).

    `layout`: "contiguous" and "inner" promise that the last stride is one (and, for the former, that the
    others follow from the shape), so those strides are compile-time knowledge or computed.
    """

    elem: Scalar | Complex | Record
    rank: int
    layout: Layout = "strided"

    def __str__(self) -> str:
        return f"Tensor[{self.elem}, {self.rank}]"


@immutable
class StackArray(Type):
    """`StackArray[elem, size]`: a reference to storage in the caller's frame."""

    elem: Type
    size: int
    space: AddressSpace = "local"

    def __str__(self) -> str:
        return f"StackArray[{self.elem}, {self.size}]"


@immutable
class Struct(Type):
    """A `@struct` class. A frozen one is a value; a mutable one is a reference to storage."""

    cls: type
    frozen: bool
    args: tuple[Any, ...] = ()  # type arguments of a generic struct, each an lang.declared.Declared

    def __str__(self) -> str:
        return self.cls.__name__ + (f"[{', '.join(map(str, self.args))}]" if self.args else "")


@immutable
class Record(Type):
    """A struct as it lies in a NumPy array: (name, type, byte offset) of its fields, and bytes from one to the next.

    A value of it is a reference to the memory.
    """

    struct: Struct
    fields: tuple[tuple[str, Type, int], ...]
    size: int

    def __str__(self) -> str:
        return str(self.struct)


@immutable
class Closure(Type):
    """A function or lambda defined inside compiled code; its items are the captured values, and its defaults (as
    `=name`). `shared` are names and keys of what it shares with the functions around it (infer/closures.py)."""

    code: Any  # front.hir.FunctionDef, identity-hashed
    names: tuple[str, ...]
    shared: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"function '{self.code.name}'"


@immutable
class BoundMethod(Type):
    """`x.method`: one item, the receiver."""

    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"method '{getattr(self.function, '__name__', '?')}'"


@immutable
class Character(Type):
    """A str of one code point that needs no object: one item, the code point (infer/text/characters.py)."""

    def __str__(self) -> str:
        return "str"


@immutable
class Optional(Type):
    """A value or None, where the value is no single reference: items are a flag (is it there?) and the value."""

    def __str__(self) -> str:
        return "optional"


@immutable
class Enum(Type):
    """A member of an Enum that is chosen at run time: one item, an int that tells which (infer/classes/enums.py)."""

    cls: Any

    def __str__(self) -> str:
        return self.cls.__name__


@immutable
class Range(Type):
    """`range(start, stop, step)`: a value of three ints."""

    def __str__(self) -> str:
        return "range"


@immutable
class DictView(Type):
    """`d.keys()`, `d.values()` or `d.items()`: one item, the dict."""

    kind: str

    def __str__(self) -> str:
        return f"dict_{self.kind}"


@immutable
class Lazy(Type):
    """What `zip`, `map`, a generator expression ... gives before it has begun; its items are what it runs over.

    `code` is what a generator expression runs (identity-hashed)."""

    kind: str
    code: Any = None

    def __str__(self) -> str:
        return f"{self.kind} object"


@immutable(eq=False)
class Iterator(Type):
    """An iterator that has begun: its state lies in names of the function that made it."""

    kind: str
    iteration: Any

    def __str__(self) -> str:
        return f"{self.kind} object"


@immutable
class Shown(Type):
    """A number of an f-string in a kernel that is shown by a format."""

    spec: str


@immutable
class Line(Type):
    """An f-string in a kernel, where there are no texts: constants, numbers and `Shown`, which print and exceptions
    take."""

    def __str__(self) -> str:
        return "an f-string"


@immutable
class Caught(Type):
    """The exception that a handler has caught (or its class or traceback): one item, the record that it lies in."""

    part: Literal["exception", "class", "traceback"] = "exception"

    def __str__(self) -> str:
        return "a caught exception" if self.part == "exception" else f"the {self.part} of a caught exception"


# -- helpers ----------------------------------------------------------------------------------------


def elem_of(ty: Type) -> Scalar:
    """The scalar behind a scalar or vector type."""
    if isinstance(ty, Scalar):
        return ty
    if isinstance(ty, Simd):
        return ty.elem
    raise TypeError(f"{ty} has no element type")


def lanes_of(ty: Type) -> int:
    """Lanes of a vector; 0 for a scalar."""
    return ty.lanes if isinstance(ty, Simd) else 0


def like(ty: Type, elem: Scalar) -> Scalar | Simd:
    """The type of the same width as `ty` with another element type."""
    return Simd(elem, ty.lanes) if isinstance(ty, Simd) else elem


def is_numeric(ty: object) -> bool:
    return isinstance(ty, Scalar | Simd)


def sizeof(ty: Type) -> int:
    """Bytes that a value of a leaf type takes in memory."""
    match ty:
        case Scalar():
            return ty.itemsize
        case Simd():
            return ty.elem.itemsize * ty.lanes
        case Ptr() | Ref() | FunctionPointer():
            return 8
        case Tile():
            return ty.rows * ty.row_bytes
    raise TypeError(f"{ty} has no size in memory")
