"""memoryview. Words: 2 items, 3 bytes from one to the next, 4 address of the first, 5 state (READONLY, RELEASED), 6
what holds the memory (0: nothing), 7 its kind, 8 the character of the format.

A view counts as a reference to what holds the memory; a bytearray also knows how many views look at it, and keeps its
size meanwhile. A released view has no items, so only what finds no item asks whether it was released.
"""

from __future__ import annotations

from sapwood.lang import types as ty
from sapwood.lang.api.annotations import Const, Ptr
from sapwood.lang.api.dtypes import i64, u8
from sapwood.lang.function import fn
from sapwood.lang.library.bytearray_object import EXPORTS, array_data
from sapwood.lang.library.bytes_object import bytes_from, new_bytes
from sapwood.lang.library.text_memory import move
from sapwood.lang.library.text_object import text_character, text_size
from sapwood.lang.ops.border import to_python
from sapwood.lang.ops.constants import constant_bytes
from sapwood.lang.ops.heap import free, new_object, object_at, same_object, shared_object_at, words
from sapwood.lang.ops.heap_struct import give_away
from sapwood.lang.ops.memory import address
from sapwood.lang.ops.memory_views import (
    OBJECT_AT,
    get_buffer,
    memoryview_object,
    release_buffer,
    slice_object,
    view_item,
)
from sapwood.lang.ops.text_objects import text_data

BUFFER, SOME_OBJECT, BYTES, BYTEARRAY, OBJECT = ty.PythonBuffer(), ty.Str(), ty.Bytes(), ty.ByteArray(), ty.Object()
ITEMS, STRIDE, DATA, STATE, OWNER, KIND, FORMAT = 2, 3, 4, 5, 6, 7, 8
READONLY, RELEASED = 1, 2
OF_BYTES, OF_ARRAY, OF_BUFFER = 1, 2, 3  # kinds of owners
# words of a PythonBuffer: the fields of a Py_buffer, then its stride
BUF, OBJ, ITEMSIZE, FLAGS, FORMAT_AT, SHAPE, STRIDES, SUBOFFSETS, STEP = 2, 3, 5, 6, 7, 8, 9, 10, 12


@fn(unchecked=True, inline=True)
def _new(kind, data: int, n: int, stride: int, state: int, form: int):
    x = new_object(kind, 72)
    w = words(x)
    w[ITEMS] = n
    w[STRIDE] = stride
    w[DATA] = data
    w[STATE] = state
    w[OWNER] = 0
    w[KIND] = 0
    w[FORMAT] = form
    return x


@fn(unchecked=True, inline=True)
def view_of_bytes(s, kind):
    """memoryview(s) of a bytes object."""
    x = _new(kind, address(text_data(s)), text_size(s), 1, READONLY, 66)
    words(x)[KIND] = OF_BYTES
    words(x)[OWNER] = give_away(s)
    return x


@fn(unchecked=True, inline=True)
def view_of_array(a, kind):
    """memoryview(a) of a bytearray."""
    x = _new(kind, address(array_data(a)), words(a)[ITEMS], 1, 0, 66)
    words(x)[KIND] = OF_ARRAY
    words(a)[EXPORTS] += 1
    words(x)[OWNER] = give_away(a)
    return x


@fn(unchecked=True, inline=True)
def view_check(x) -> None:
    """ValueError of a view that was released."""
    if words(x)[STATE] & RELEASED != 0:
        raise ValueError("operation forbidden on released memoryview object")


@fn(unchecked=True, inline=True)
def view_length(x) -> int:
    view_check(x)
    return words(x)[ITEMS]


@fn(unchecked=True)
def view_slice(x, kind, first: int, step: int, count: int, state: int):
    """A view of some items of a view."""
    v = words(x)
    y = _new(kind, v[DATA] + first * v[STRIDE], count, step * v[STRIDE], v[STATE] | state, v[FORMAT])
    w = words(y)
    owner = v[OWNER]
    w[KIND] = v[KIND]
    if owner != 0:
        if v[KIND] == OF_ARRAY:
            Ptr[i64](owner)[EXPORTS] += 1
        w[OWNER] = give_away(shared_object_at(Ptr[i64](owner), SOME_OBJECT))
    return y


@fn(unchecked=True, unit=True)
def _let_go(w: Ptr[i64]) -> None:
    owner = w[OWNER]
    if owner != 0:
        if w[KIND] == OF_ARRAY:
            Ptr[i64](owner)[EXPORTS] -= 1
        w[OWNER] = 0
        object_at(Ptr[i64](owner), SOME_OBJECT)  # nobody uses the reference, so it is released


@fn(unchecked=True)
def view_drop(w: Ptr[i64]) -> None:
    _let_go(w)
    free(w)


@fn(unchecked=True)
def view_release(x) -> None:
    """x.release()"""
    w = words(x)
    w[STATE] = w[STATE] | RELEASED
    w[ITEMS] = 0
    _let_go(w)


@fn(unchecked=True)
def view_enter(x):
    view_check(x)
    return x


@fn(unchecked=True)
def view_exit(x, kind, error, trace) -> None:
    view_release(x)


# -- items ---------------------------------------------------------------------------------------------


@fn(unchecked=True, inline=True)
def view_place(x, index: int) -> Ptr[u8]:
    """Where item `index` is."""
    w = words(x)
    n = w[ITEMS]
    i = index + n if index < 0 else index
    if i < 0 or i >= n:
        view_check(x)
        raise IndexError("index out of bounds on dimension 1")
    return Ptr[u8](w[DATA] + i * w[STRIDE])


@fn(unchecked=True, inline=True)
def view_writable(x) -> None:
    if words(x)[STATE] != 0:
        view_check(x)
        raise TypeError("cannot modify read-only memory")


@fn(unchecked=True, unit=True)
def view_wrong_value(form: int) -> None:
    raise ValueError(f"memoryview: invalid value for format '{text_character(form)}'")


@fn(unchecked=True, inline=True)
def view_range(x, value, low, high) -> None:
    """ValueError of a number that is no such item."""
    if value < low or value > high:
        view_wrong_value(words(x)[FORMAT])


@fn(unchecked=True)
def view_bytes(x, itemsize: Const[int]) -> bytes:
    """x.tobytes()"""
    view_check(x)
    w = words(x)
    n, stride, p = w[ITEMS], w[STRIDE], Ptr[u8](w[DATA])
    if stride == itemsize:
        return bytes_from(p, n * itemsize)
    out = new_bytes(n * itemsize)
    to = text_data(out)
    for i in range(n):
        for k in range(itemsize):
            to[i * itemsize + k] = p[i * stride + k]
    return out


@fn(unchecked=True)
def view_write(x, first: int, step: int, count: int, s, n: int, itemsize: Const[int]) -> None:
    """x[first::step] = the n items in the bytes s"""
    if n != count:
        raise ValueError("memoryview assignment: lvalue and rvalue have different structures")
    w = words(x)
    stride, p = step * w[STRIDE], Ptr[u8](w[DATA] + first * w[STRIDE])
    source = text_data(s)
    if stride == itemsize:
        move(p, source, n * itemsize)
    else:
        for i in range(n):
            for k in range(itemsize):
                p[i * stride + k] = source[i * itemsize + k]


@fn(unchecked=True)
def view_equal(x, y) -> bool:
    if (words(x)[STATE] | words(y)[STATE]) & RELEASED != 0:
        return same_object(x, y)
    n = words(x)[ITEMS]
    if n != words(y)[ITEMS]:
        return False
    for i in range(n):
        if view_item(x, i) != view_item(y, i):
            return False
    return True


@fn(unchecked=True)
def view_format(x) -> str:
    view_check(x)
    return text_character(words(x)[FORMAT])


# -- the memory of Python objects ----------------------------------------------------------------------


@fn(unchecked=True)
def buffer_drop(w: Ptr[i64]) -> None:
    release_buffer(w + OBJECT_AT)
    free(w)


@fn(unchecked=True, unit=True)
def buffer_of(x: object):
    """The memory of a Python object, held until the buffer ends; TypeError or BufferError of one that has none."""
    holder = new_object(BUFFER, 104)
    w = words(holder)
    for i in range(2, 13):
        w[i] = 0  # a Py_buffer without an object: releasing it does nothing
    get_buffer(x, w + OBJECT_AT)
    if w[STRIDES] != 0 and w[FLAGS] >> 32 == 1:
        w[STEP] = Ptr[i64](w[STRIDES])[0]
    else:
        w[STEP] = w[ITEMSIZE]
    return holder


@fn(unchecked=True)
def buffer_fits(holder, formats, itemsize: Const[int]) -> bool:
    """Whether it is one axis of aligned items of a format among `formats`."""
    w = words(holder)
    if w[FLAGS] >> 32 != 1 or w[SUBOFFSETS] != 0 or w[ITEMSIZE] != itemsize:
        return False
    if Ptr[i64](w[SHAPE])[0] > 0 and (w[BUF] % itemsize != 0 or w[STEP] % itemsize != 0):
        return False
    found, allowed = _format(w), constant_bytes(formats)
    i = 0
    while allowed[i] != 0:
        if int(allowed[i]) == found:
            return True
        i += 1
    return False


@fn(unchecked=True, inline=True)
def _format(w: Ptr[i64]) -> int:
    if w[FORMAT_AT] == 0:
        return 66
    p = Ptr[u8](w[FORMAT_AT])
    return int(p[0]) if p[0] != 0 and p[1] == 0 else 0


@fn(unchecked=True)
def view_of_buffer(holder, kind):
    """memoryview(x) of the memory of a Python object."""
    w = words(holder)
    state = READONLY if w[FLAGS] & 0xFFFFFFFF != 0 else 0
    x = _new(kind, w[BUF], Ptr[i64](w[SHAPE])[0], w[STEP], state, _format(w))
    words(x)[KIND] = OF_BUFFER
    words(x)[OWNER] = give_away(holder)
    return x


@fn(unchecked=True)
def view_to_python(x):
    """A Python memoryview: of the same memory if a Python object has it, else of a copy of what a view keeps alive."""
    view_check(x)
    w = words(x)
    owner = Ptr[i64](w[OWNER])
    readonly = w[STATE] & READONLY != 0
    if w[KIND] == OF_BUFFER:
        base = memoryview_object(shared_object_at(Ptr[i64](owner[OBJ]), OBJECT))
        return slice_object(base, w[DATA] - owner[BUF], owner[STEP], w[ITEMS], w[STRIDE], readonly)
    if w[KIND] == OF_BYTES:
        s = shared_object_at(owner, BYTES)
        start = w[DATA] - address(text_data(s))
        return slice_object(memoryview_object(to_python(s)), start, 1, w[ITEMS], w[STRIDE], readonly)
    a = shared_object_at(owner, BYTEARRAY)
    start = w[DATA] - address(array_data(a))
    return slice_object(memoryview_object(to_python(a)), start, 1, w[ITEMS], w[STRIDE], readonly)
