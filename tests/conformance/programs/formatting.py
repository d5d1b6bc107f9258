"""f-strings, format, %-formatting and print."""

from conformance import case, fn


@case(5, 2.5)
@fn
def simple(n: int, x: float) -> str:
    return f"n={n}, x={x}, sum={n + x}"


@case("a", True)
@fn
def texts(s: str, b: bool) -> str:
    return f"{s}{b}{None}{{braces}}"


@case("it's", 1.0)
@fn
def conversions(s: str, x: float) -> str:
    return f"{s!r} {x!r} {s!s}"


@case(42)
@fn
def debug(n: int) -> str:
    return f"{n=} {n + 1 = }"


@case(42)
@case(-42)
@case(0)
@fn
def int_formats(n: int) -> str:
    return f"{n:5}|{n:<5}|{n:^5}|{n:05}|{n:+}|{n: }|{n:x}|{n:#X}|{n:b}|{n:o}|{n:,}|{n:_}|{n:d}"


@case(1234567)
@fn
def thousands(n: int) -> str:
    return f"{n:,} {n:_} {n:>12,} {n * 1.5:,.2f}"


@case(3.14159)
@case(-2.5)
@case(1e20)
@case(0.0)
@case(-0.0)
@case(float("inf"))
@case(float("nan"))
@fn
def float_formats(x: float) -> str:
    return f"{x:.2f}|{x:8.3f}|{x:<8.1f}|{x:e}|{x:.3e}|{x:g}|{x:.3g}|{x:+.1f}|{x:08.2f}|{x:.0f}"


@case(0.256)
@fn
def percent(x: float) -> str:
    return f"{x:%} {x:.1%}"


@case("abc")
@fn
def text_formats(s: str) -> str:
    return f"{s:5}|{s:>5}|{s:^7}|{s:*^7}|{s:.2}|{s:-<6}"


@case(3.14159, 3, 10)
@fn
def nested(x: float, digits: int, width: int) -> str:
    return f"{x:{width}.{digits}f}"


@case(1, "b")
@fn
def format_method(n: int, s: str) -> str:
    return "{} and {}; {1} {0}".replace("; {1} {0}", "").format(n, s)


@case(3.5)
@fn
def format_function(x: float) -> tuple[str, str]:
    return format(x, ".2f"), format(3, "05d")


@case(7, "x", 2.5)
@fn
def percent_operator(n: int, s: str, x: float) -> str:
    return "%d %s %.2f %5d %%" % (n, s, x, n)


@case([1, 2], (3, "a"))
@fn
def containers(values: list[int], pair: tuple[int, str]) -> str:
    return f"{values} {pair} {values!r}"


@case(3)
@fn
def separators(n: int) -> None:
    print(n, n, sep="")
    print(n, end="")
    print()
    print("a", 1.5, sep=", ", end=".\n")


@case(5)
@fn
def multi_line(n: int) -> str:
    return f"first {n}\n" f"second {n:3}"


@case(255)
@fn
def bases(n: int) -> tuple[str, str, str]:
    return hex(n), bin(n), oct(-n)


@case(1.0)
@case(100000000000000000000.0)
@case(1.7976931348623157e308)
@case(5e-324)
@case(0.30000000000000004)
@fn
def repr_floats(x: float) -> str:
    return f"{x} {x!r} {[x]}"


@case(2)
@fn
def expression_with_quotes(n: int) -> str:
    d = {"k": n}
    return f"value {d['k']} and {'yes' if n > 1 else 'no'}"
