"""Fit the polynomials of the math functions: near-minimax with coefficients of the format that evaluates them.

    python scripts/fit_polynomials.py             compare with what the library holds: exit 1 and print if it differs
    python scripts/fit_polynomials.py --write     write sapwood/lang/library/math_polynomials.py

Needs mpmath; takes half a minute. A fit is Remez's exchange on a grid of Chebyshev nodes, in 60 digits.
Coefficients are rounded from the lowest power on, and what a rounding loses is spread over the higher powers
in least squares.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
Real = Callable[[mp.mpf], mp.mpf]
LN2 = mp.log(2)
PLACE = Path(__file__).resolve().parent.parent / "src/sapwood/lang/library/math_polynomials.py"


@dataclass(frozen=True)
class Fit:
    """Minimise the maximum of weight(x) * |f(x) - p(x)| on an interval, for p with `count` coefficients."""

    name: str
    f: Real
    weight: Real
    low: mp.mpf
    high: mp.mpf
    count: int
    bits: int  # of a coefficient: 24 or 53
    fixed: tuple[float, ...] = ()  # coefficients given beforehand, from the lowest power


def round_to(bits: int, x: mp.mpf) -> mp.mpf:
    """x rounded to nearest in a binary format of so many bits."""
    with mp.workprec(bits):
        return +x


def minimax(points: list[mp.mpf], values: list[mp.mpf], weights: list[mp.mpf], count: int) -> list[mp.mpf]:
    """Coefficients that minimise max |weight * (value - p)| on the points."""
    n = len(points)
    chosen = [round(i * (n - 1) / count) for i in range(count + 1)]
    coefficients: list[mp.mpf] = []
    for _ in range(30):
        rows, right = mp.matrix(count + 1, count + 1), mp.matrix(count + 1, 1)
        for i, k in enumerate(chosen):
            for j in range(count):
                rows[i, j] = points[k] ** j
            rows[i, count] = (-1) ** i / weights[k]
            right[i] = values[k]
        solution = mp.lu_solve(rows, right)
        coefficients = [solution[j] for j in range(count)]
        errors = [
            w * (v - mp.polyval(coefficients[::-1], x)) for x, v, w in zip(points, values, weights, strict=True)
        ]
        chosen = []  # where the error is largest between two changes of its sign
        for k, e in enumerate(errors):
            if chosen and (e > 0) == (errors[chosen[-1]] > 0):
                if abs(e) > abs(errors[chosen[-1]]):
                    chosen[-1] = k
            else:
                chosen.append(k)
        while len(chosen) > count + 1:
            chosen.pop(0 if abs(errors[chosen[0]]) < abs(errors[chosen[-1]]) else -1)
        if max(abs(errors[k]) for k in chosen) < abs(solution[count]) * mp.mpf("1.001"):
            break
    return coefficients


def spread(points: list[mp.mpf], weights: list[mp.mpf], first: int, count: int) -> list[mp.mpf]:
    """The combination of x**first ... x**(count - 1) that replaces x**(first - 1) best, in least squares."""
    n = count - first
    rows, right = mp.matrix(n, n), mp.matrix(n, 1)
    powers = [[x**k * w for k in range(first - 1, count)] for x, w in zip(points, weights, strict=True)]
    for i in range(n):
        for j in range(n):
            rows[i, j] = mp.fsum(p[i + 1] * p[j + 1] for p in powers)
        right[i] = mp.fsum(p[i + 1] * p[0] for p in powers)
    solution = mp.lu_solve(rows, right)
    return [solution[j] for j in range(n)]


def solve(fit: Fit) -> tuple[tuple[float, ...], float]:
    """(coefficients, the largest weighted error of the rounded polynomial)."""
    n = 24 * fit.count + 48
    middle, half = (fit.low + fit.high) / 2, (fit.high - fit.low) / 2
    points = [middle - half * mp.cos(mp.pi * (k + mp.mpf("0.25")) / (n - mp.mpf("0.5"))) for k in range(n)]
    values, weights = [fit.f(x) for x in points], [abs(fit.weight(x)) for x in points]

    def error(coefficients: list[mp.mpf]) -> mp.mpf:
        return max(
            w * abs(v - mp.polyval(coefficients[::-1], x)) for x, v, w in zip(points, values, weights, strict=True)
        )

    fixed = [mp.mpf(c) for c in fit.fixed]
    m = len(fixed)
    rest = [(v - (mp.polyval(fixed[::-1], x) if m else 0)) / x**m for x, v in zip(points, values, strict=True)]
    best = minimax(points, rest, [w * abs(x) ** m for x, w in zip(points, weights, strict=True)], fit.count - m)
    plain = fixed + [round_to(fit.bits, c) for c in best]
    moved = fixed + best
    for k in range(m, fit.count):
        lost = moved[k] - round_to(fit.bits, moved[k])
        moved[k] -= lost
        if k + 1 < fit.count:
            for j, s in enumerate(spread(points, weights, k + 1, fit.count)):
                moved[k + 1 + j] += lost * s
    chosen = min(plain, moved, key=error)
    return tuple(float(c) for c in chosen), float(error(chosen))


def over(f: Real, *terms: mp.mpf | float) -> Real:
    """(f(x) - t0 - t1 x - ...) / x**len(terms)."""
    return lambda x: (f(x) - mp.polyval([mp.mpf(t) for t in terms[::-1]], x)) / x ** len(terms)


def in_square(f: Real) -> Real:
    """f as a function of the square of its argument."""
    return lambda z: f(mp.sqrt(z))


def atanh_quotient(s: mp.mpf) -> mp.mpf:
    """log((1 + s) / (1 - s)) / s."""
    return mp.log((1 + s) / (1 - s)) / s


def erfc_scaled(t: mp.mpf) -> mp.mpf:
    """(1 + 2 x) exp(x**2) erfc(x) for t = (x - 3) / (x + 3): smooth from x = 0 to infinity."""
    x = 3 * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x**2) * mp.erfc(x)


def lgamma_quotient(x: mp.mpf) -> mp.mpf:
    """log(gamma(x)) / ((x - 1) (x - 2)), which has no zero above 0."""
    if abs(x - 1) < mp.mpf(10) ** -25 or abs(x - 2) < mp.mpf(10) ** -25:
        return (mp.diff(mp.loggamma, mp.nint(x))) / (2 * mp.nint(x) - 3)
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def erfc_place(x: float) -> mp.mpf:
    return (mp.mpf(x) - 3) / (mp.mpf(x) + 3)


ERFC_INTERVAL_32 = erfc_place(0.45), erfc_place(10.3)
ERFC_INTERVAL_64 = erfc_place(0.45), erfc_place(27.5)
HALF_LN2 = LN2 / 2 * (1 + mp.mpf(2) ** -18)
EIGHTH_TURN = mp.pi / 4 * (1 + mp.mpf(2) ** -18)
SMALLEST = mp.mpf(10) ** -12  # stands for zero as an end of an interval
F_LOW, F_HIGH = mp.sqrt(mp.mpf(0.5)) - 1, mp.sqrt(mp.mpf(2)) - 1
S_SQUARE = (F_HIGH / (2 + F_HIGH)) ** 2


def fits() -> list[Fit]:
    out: list[Fit] = []

    def add(bits: int, name: str, f: Real, weight: Real, low: object, high: object, count: int, *fixed: float) -> None:
        out.append(Fit(name, f, weight, mp.mpf(low), mp.mpf(high), count, bits, fixed))

    def both(name: str, f: Real, weight: Real, low: object, high: object, short: int, long: int, *fixed: float) -> None:
        add(24, name, f, weight, low, high, short, *fixed)
        add(53, name, f, weight, low, high, long, *fixed)

    both("exp", over(mp.exp, 1, 1), lambda r: r**2 / mp.exp(r), -HALF_LN2, HALF_LN2, 5, 10)
    both("expm1", over(mp.exp, 1, 1), lambda r: r**2 / mp.expm1(r), -HALF_LN2, HALF_LN2, 6, 11, 0.5)
    both("exp2", over(lambda r: mp.mpf(2) ** r, 1, LN2), lambda r: r**2 / mp.mpf(2) ** r, -0.5, 0.5, 6, 10)
    both("log", over(in_square(atanh_quotient), 2), lambda z: z, SMALLEST, S_SQUARE, 3, 7)
    both("sin", over(in_square(lambda r: mp.sin(r) / r), 1), lambda z: z, SMALLEST, EIGHTH_TURN**2, 3, 6)
    both("cos", over(in_square(mp.cos), 1, -0.5), lambda z: z**2, SMALLEST, EIGHTH_TURN**2, 3, 6)
    quotient = in_square(lambda x: mp.erf(x) / x)
    both("erf", lambda z: quotient(z) - 1, lambda z: 1 / quotient(z), SMALLEST, 1, 7, 12)
    add(24, "erf_tail", lambda t: mp.log(mp.erfc(t + 2)), lambda t: mp.erfc(t + 2) / mp.erf(t + 2), -1, 2, 7)
    add(53, "erf_tail", lambda t: mp.log(mp.erfc(t + 2)), lambda t: mp.erfc(t + 2) / mp.erf(t + 2), -1, 4, 18)
    add(24, "erfc", erfc_scaled, lambda t: 1 / erfc_scaled(t), *ERFC_INTERVAL_32, 12)
    add(53, "erfc", erfc_scaled, lambda t: 1 / erfc_scaled(t), *ERFC_INTERVAL_64, 25)
    eighth = mp.tan(mp.pi / 8) * (1 + mp.mpf(2) ** -18)
    both("atan", over(in_square(lambda t: mp.atan(t) / t), 1), lambda z: z, SMALLEST, eighth**2, 5, 11)
    both("asin", over(in_square(lambda t: mp.asin(t) / t), 1), lambda z: z, SMALLEST, 0.25, 6, 13)
    add(53, "gamma", lambda u: mp.gamma(u + 1.5), lambda u: 1 / mp.gamma(u + 1.5), -0.5, 0.5, 24)
    for name, middle, reach, count in (("lgamma", 1.5, 0.5, 24), ("lgamma_above", 2.25, 0.25, 14)):
        around = partial(lambda middle, u: lgamma_quotient(u + middle), mp.mpf(middle))
        add(53, name, around, partial(lambda f, u: 1 / f(u), around), -reach, reach, count)
    # for pow: f32 in f64 arithmetic, f64 in double-words
    add(53, "log2_short", in_square(lambda s: atanh_quotient(s) / LN2), lambda z: mp.mpf(1), SMALLEST, S_SQUARE, 6)
    add(53, "exp2_short", lambda r: mp.mpf(2) ** r, lambda r: mp.mpf(2) ** -r, -0.5, 0.5, 8)
    third = mp.mpf(1) / 3
    pair = over(in_square(lambda s: atanh_quotient(s) / 2), 1, third)
    add(53, "log_pair", pair, lambda z: z**2, SMALLEST, S_SQUARE, 8)
    return out


HEAD = '''"""Polynomial coefficients of the math functions, lowest power first. Written by scripts/fit_polynomials.py.

The script says what each approximates and where; `error` is that of the rounded coefficients, evaluated
exactly, in the measure given there (mostly relative to the function's value).
"""

from __future__ import annotations

from dataclasses import dataclass

Coefficients = tuple[float, ...]


@dataclass(frozen=True)
class Polynomials:
'''


def module(solved: dict[Fit, tuple[tuple[float, ...], float]]) -> str:
    """The text of the library's file of coefficients."""
    names = {bits: [f.name for f in solved if f.bits == bits] for bits in (24, 53)}
    lines = [HEAD.rstrip()]
    lines += [f"    {name}: Coefficients = ()" for name in dict.fromkeys(names[24] + names[53])]
    for bits, holder in ((24, "POLYNOMIALS_32"), (53, "POLYNOMIALS_64")):
        lines += ["", "", f"{holder} = Polynomials("] if bits == 24 else ["", f"{holder} = Polynomials("]
        for fit, (coefficients, error) in solved.items():
            if fit.bits == bits:
                lines.append(f"    {fit.name}=(  # error 2**{float(mp.log(error, 2)):.1f}")
                lines += [f"        {c!r}," for c in coefficients]
                lines.append("    ),")
        lines.append(")")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the library's file")
    options = parser.parse_args()
    text = module({fit: solve(fit) for fit in fits()})
    if options.write:
        PLACE.write_text(text)
        return 0
    same = PLACE.exists() and PLACE.read_text() == text
    print("the library holds these coefficients" if same else text)
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
