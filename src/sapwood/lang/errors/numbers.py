"""Mistakes with numbers."""

from __future__ import annotations

from sapwood.lang.errors import TypeMistake


class ComplexOrder(TypeMistake):
    code = "T201"
    message = "'{op}' has no meaning for {left} and {right}: complex numbers have no order"
    help = "compare their .real, .imag or abs()"
