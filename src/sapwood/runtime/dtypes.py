"""The dtypes as memory sees them: width, codes, buffer-protocol formats, NumPy's names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DType:
    """One dtype. `bits` is the value width; bool takes a byte in memory."""

    name: str
    kind: Literal["bool", "int", "uint", "float", "complex"]
    bits: int
    code: int
    buffer_formats: tuple[str, ...]
    numpy: str | None

    @property
    def itemsize(self) -> int:
        return max(8, self.bits) // 8

    @property
    def alignment(self) -> int:
        """Of a complex number, that of its parts."""
        return self.itemsize // 2 if self.kind == "complex" else self.itemsize

    def __str__(self) -> str:
        return self.name


DTYPES: dict[str, DType] = {
    d.name: d
    for d in (
        DType("bool", "bool", 1, 0, ("?",), "bool"),
        DType("i8", "int", 8, 1, ("b",), "int8"),
        DType("i16", "int", 16, 2, ("h",), "int16"),
        DType("i32", "int", 32, 3, ("i",), "int32"),
        DType("i64", "int", 64, 4, ("l", "q"), "int64"),
        DType("u8", "uint", 8, 5, ("B",), "uint8"),
        DType("u16", "uint", 16, 6, ("H",), "uint16"),
        DType("u32", "uint", 32, 7, ("I",), "uint32"),
        DType("u64", "uint", 64, 8, ("L", "Q"), "uint64"),
        DType("f16", "float", 16, 9, ("e",), "float16"),
        DType("bf16", "float", 16, 10, (), None),
        DType("f32", "float", 32, 11, ("f",), "float32"),
        DType("f64", "float", 64, 12, ("d",), "float64"),
        DType("c64", "complex", 64, 13, ("Zf",), "complex64"),
        DType("c128", "complex", 128, 14, ("Zd",), "complex128"),
    )
}
BY_CODE: dict[int, DType] = {d.code: d for d in DTYPES.values()}
BY_FORMAT: dict[str, DType] = {f: d for d in DTYPES.values() for f in d.buffer_formats}


def dtype(x: object) -> DType:
    """A DType from a name, a DType, a dtype class of the language, or a NumPy dtype."""
    if isinstance(x, DType):
        return x
    name = x if isinstance(x, str) else getattr(getattr(x, "scalar", None), "name", None)
    if name is None:
        name = getattr(x, "__name__", None) or getattr(x, "name", None) or str(x)
    found = DTYPES.get(name) or _ALIASES.get(name)
    if found is None:
        raise TypeError(f"unknown dtype {x!r}; known are {', '.join(DTYPES)}")
    return found


_ALIASES = {d.numpy: d for d in DTYPES.values() if d.numpy} | {
    "int": DTYPES["i64"],
    "float": DTYPES["f64"],
    "complex": DTYPES["c128"],
    "bfloat16": DTYPES["bf16"],
}
