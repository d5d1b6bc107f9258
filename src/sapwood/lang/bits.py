"""Machine scalars as Python numbers: their range, and their bit patterns."""

from __future__ import annotations

import struct
from typing import Any

from sapwood.lang.types import Scalar


def wrap_int(ty: Scalar, x: int) -> int:
    x &= (1 << ty.bits) - 1
    return x - (1 << ty.bits) if ty.signed and x >> (ty.bits - 1) else x


def int_range(ty: Scalar) -> tuple[int, int]:
    if ty.kind == "bool":
        return 0, 1
    return (-(1 << ty.bits - 1), (1 << ty.bits - 1) - 1) if ty.signed else (0, (1 << ty.bits) - 1)


def to_bits(ty: Scalar, x: Any) -> int:
    """The bit pattern of a scalar, as an unsigned int."""
    match ty.name:
        case "f64":
            return struct.unpack("<Q", struct.pack("<d", x))[0]
        case "f32":
            return struct.unpack("<I", struct.pack("<f", x))[0]
        case "f16":
            return struct.unpack("<H", struct.pack("<e", x))[0]
        case "bf16":
            return 0x7FC0 if x != x else struct.unpack("<I", struct.pack("<f", x))[0] >> 16
    return int(x) & ((1 << max(ty.bits, 8)) - 1)


def from_bits(ty: Scalar, bits: int) -> Any:
    match ty.name:
        case "f64":
            return struct.unpack("<d", struct.pack("<Q", bits))[0]
        case "f32":
            return struct.unpack("<f", struct.pack("<I", bits))[0]
        case "f16":
            return struct.unpack("<e", struct.pack("<H", bits))[0]
        case "bf16":
            return struct.unpack("<f", struct.pack("<I", bits << 16))[0]
        case "bool":
            return bool(bits & 1)
    return wrap_int(ty, bits)
