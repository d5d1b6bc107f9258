"""Arithmetic of polynomials: a class with the operators of numbers.

    python examples/polynomials.py

Shows operator methods of a struct that holds a list, `divmod`, calls, truth and text.
"""

from __future__ import annotations

from sapwood import fn, struct


@struct
class Poly:
    coeffs: list[float]

    def trimmed(self) -> Poly:
        c = list(self.coeffs)
        while c and c[-1] == 0:
            c.pop()
        return Poly(c)

    @property
    def degree(self) -> int:
        return len(self.coeffs) - 1

    def __len__(self) -> int:
        return len(self.coeffs)

    def __getitem__(self, i: int) -> float:
        return self.coeffs[i] if i < len(self.coeffs) else 0.0

    def __add__(self, other: Poly) -> Poly:
        n = max(len(self), len(other))
        return Poly([self[i] + other[i] for i in range(n)]).trimmed()

    def __neg__(self) -> Poly:
        return Poly([-c for c in self.coeffs])

    def __sub__(self, other: Poly) -> Poly:
        return self + -other

    def __mul__(self, other: Poly) -> Poly:
        if not self.coeffs or not other.coeffs:
            return Poly([])
        out = [0.0] * (len(self) + len(other) - 1)
        for i, a in enumerate(self.coeffs):
            for j, b in enumerate(other.coeffs):
                out[i + j] += a * b
        return Poly(out).trimmed()

    def __divmod__(self, other: Poly) -> tuple[Poly, Poly]:
        if not other.coeffs:
            raise ZeroDivisionError("polynomial division by zero")
        rest = self.coeffs[:]
        n = len(other.coeffs)
        quotient = [0.0] * max(len(rest) - n + 1, 0)
        for i in range(len(rest) - n, -1, -1):
            q = rest[i + n - 1] / other.coeffs[-1]
            quotient[i] = q
            for j in range(n):
                rest[i + j] -= q * other.coeffs[j]
        return Poly(quotient).trimmed(), Poly(rest).trimmed()

    def __call__(self, x: float) -> float:
        result = 0.0
        for c in reversed(self.coeffs):
            result = result * x + c
        return result

    def __bool__(self) -> bool:
        return bool(self.coeffs)

    def __str__(self) -> str:
        terms: list[tuple[str, str]] = []
        for power in range(len(self.coeffs) - 1, -1, -1):
            c = self.coeffs[power]
            if c == 0:
                continue
            sign = "-" if c < 0 else "+"
            size = abs(c)
            number = "" if size == 1 and power > 0 else f"{size:g}"
            body = number + ("" if power == 0 else "x" if power == 1 else f"x^{power}")
            terms.append((sign, body))
        if not terms:
            return "0"
        text = ("-" if terms[0][0] == "-" else "") + terms[0][1]
        for sign, body in terms[1:]:
            text += f" {sign} {body}"
        return text

    def derivative(self) -> Poly:
        return Poly([i * c for i, c in enumerate(self.coeffs)][1:])


@fn
def arithmetic(a: list[float], b: list[float]) -> list[str]:
    p, q = Poly(a), Poly(b)
    quotient, rest = divmod(p, q)
    assert quotient * q + rest == p.trimmed()
    return [str(p + q), str(p - q), str(p * q), str(quotient), str(rest), str(p.derivative())]


@fn
def gcd(a: list[float], b: list[float]) -> list[float]:
    p, q = Poly(a), Poly(b)
    while q:
        p, q = q, divmod(p, q)[1]
    return [c / p.coeffs[-1] for c in p.coeffs]


@fn
def root(coeffs: list[float], x: float, tries: int = 50) -> float:
    p = Poly(coeffs)
    d = p.derivative()
    for _ in range(tries):
        slope = d(x)
        if slope == 0:
            raise ArithmeticError(f"flat at {x}")
        step = p(x) / slope
        x -= step
        if abs(step) < 1e-12:
            return x
    raise RuntimeError("no convergence")


if __name__ == "__main__":
    print("\n".join(arithmetic([-1.0, 0.0, 1.0], [1.0, 1.0])))
    print(gcd([-1.0, 0.0, 1.0], [1.0, 2.0, 1.0]), round(root([-2.0, 0.0, 1.0], 1.0), 12))
