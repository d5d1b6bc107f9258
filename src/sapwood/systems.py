"""What systems code uses, in one module: atomics, C functions, cache control, alignment, inline LLVM and assembly.

All of it is for functions with @fn. It is as unsafe as Ptr is: the compiler checks types and orderings, not what
memory or a C function does. See docs/reference/systems.md.
"""

from sapwood.lang.external import external
from sapwood.lang.ops.atomics import (
    atomic_add,
    atomic_and,
    atomic_cas,
    atomic_dec,
    atomic_exchange,
    atomic_inc,
    atomic_load,
    atomic_max,
    atomic_min,
    atomic_or,
    atomic_store,
    atomic_sub,
    atomic_xor,
    fence,
)
from sapwood.lang.ops.bits import byte_swap, leading_zeros, popcount, trailing_zeros
from sapwood.lang.ops.foreign import errno
from sapwood.lang.ops.inline import inline_asm, inline_llvm
from sapwood.lang.ops.memory import address, assume_aligned, prefetch
from sapwood.lang.ops.system import cpu_pause

__all__ = [
    "address",
    "assume_aligned",
    "atomic_add",
    "atomic_and",
    "atomic_cas",
    "atomic_dec",
    "atomic_exchange",
    "atomic_inc",
    "atomic_load",
    "atomic_max",
    "atomic_min",
    "atomic_or",
    "atomic_store",
    "atomic_sub",
    "atomic_xor",
    "byte_swap",
    "cpu_pause",
    "errno",
    "external",
    "fence",
    "inline_asm",
    "inline_llvm",
    "leading_zeros",
    "popcount",
    "prefetch",
    "trailing_zeros",
]
