"""Symbolic sizes: integers, symbols, and sums and products of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Monomial = tuple[str, ...]


class Dim:
    """A polynomial in named symbols with integer coefficients; equality is of the polynomials."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        self.terms = {m: c for m, c in sorted(terms.items()) if c}

    @staticmethod
    def of(x: Dim | int) -> Dim:
        return x if isinstance(x, Dim) else Dim({(): int(x)})

    def __add__(self, other: Dim | int) -> Dim:
        out = dict(self.terms)
        for m, c in Dim.of(other).terms.items():
            out[m] = out.get(m, 0) + c
        return Dim(out)

    def __mul__(self, other: Dim | int) -> Dim:
        out: dict[Monomial, int] = {}
        for m, c in self.terms.items():
            for n, d in Dim.of(other).terms.items():
                key = tuple(sorted(m + n))
                out[key] = out.get(key, 0) + c * d
        return Dim(out)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + Dim.of(other) * -1

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim | int) and self.terms == Dim.of(other).terms

    def __hash__(self) -> int:
        return hash(tuple(self.terms.items()))

    @property
    def known(self) -> int | None:
        """The value, if no symbol is in it."""
        return self.terms.get((), 0) if set(self.terms) <= {()} else None

    def symbols(self) -> set[str]:
        return {s for m in self.terms for s in m}

    def value(self, bindings: Mapping[str, int]) -> int:
        """The size for given symbols; KeyError names one that is missing."""
        total = 0
        for m, c in self.terms.items():
            for s in m:
                c *= bindings[s]
            total += c
        return total

    def source(self, rename: Callable[[str], str] = str) -> str:
        """As an expression of the language; `rename` gives the names of symbols."""
        parts = []
        for m, c in self.terms.items():
            factors = [str(c)] if c != 1 or not m else []
            parts.append(" * ".join([*factors, *map(rename, m)]))
        return " + ".join(parts) or "0"

    def __repr__(self) -> str:
        return self.source()


def symbol(name: str) -> Dim:
    """A size that is known when the program runs."""
    if not name.isidentifier():
        raise ValueError(f"a symbolic size needs an identifier as its name, not {name!r}")
    return Dim({(name,): 1})
