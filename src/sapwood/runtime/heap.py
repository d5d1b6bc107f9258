"""The heap of compiled code as Python sees it: how many allocations live, and how an object ends."""

from __future__ import annotations

import ctypes
from functools import lru_cache

from sapwood.runtime.jit import register_symbol

LARGEST = 1 << 47  # no request for so many bytes is granted

# Words of the state: 0 allocations; 1 to 7 are those of lang/library; then lists of free blocks (lower/small_blocks.py)
LISTS, CLASSES = 8, 9

_state = (ctypes.c_int64 * (LISTS + 2 * CLASSES))()


def class_of(nbytes: int) -> int | None:
    """Which list of free blocks has memory for so many bytes; None: too many."""
    return nbytes + 7 >> 4 if 0 <= nbytes < 16 * CLASSES - 7 else None


def room_of(nbytes: int) -> int:
    """The bytes to ask libc for, so that the block belongs to the class of its size."""
    k = class_of(nbytes)
    return nbytes if k is None else 16 * k + 8


@lru_cache(maxsize=1)
def register_heap() -> None:
    """Register libc's functions and the counter that compiled code refers to."""
    register_symbol("sapwood_heap_state", ctypes.addressof(_state))
    libc = ctypes.CDLL(None)
    for name in ("malloc", "realloc", "free", "malloc_usable_size"):
        register_symbol(name, ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0)


def live_objects() -> int:
    """Allocations of compiled code (objects and the memory of containers) that have not been given back."""
    return int(_state[0]) - sum(_state[LISTS + 2 * k + 1] for k in range(CLASSES))


def count(change: int) -> None:
    _state[0] += change


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return libc


def allocate(nbytes: int) -> int:
    """Memory that compiled code will give back; MemoryError if there is none."""
    address = _libc().malloc(max(room_of(nbytes), 1))
    if not address:
        raise MemoryError
    count(1)
    return address


_DROP = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)


def end(address: int) -> None:
    """Call the drop function of an object that nobody refers to any more."""
    record = (ctypes.c_int64 * 16)()
    drop = ctypes.c_void_p.from_address(address + 8).value
    assert drop is not None
    _DROP(drop)(address, ctypes.addressof(record))


def release(address: int) -> None:
    """One reference less to an object of compiled code; ends it if it was the last."""
    rc = ctypes.c_int64.from_address(address)
    rc.value -= 1
    if rc.value == 0:
        end(address)
