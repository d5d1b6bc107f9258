"""f-strings, format, %-formatting and print."""

from conformance import case, fn


@case(3)
@fn
def separators(n: int) -> None:
    print(n, n, sep="")
    print(n, end="")
    print()
    print("a", 1.5, sep=", ", end=".\n")
