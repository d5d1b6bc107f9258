"""Programs as people write them: graphs, parsing, dynamic programming, simulation."""

from conformance import case, fn


@case(3.0)
@fn
def integrate(top: float) -> float:
    def simpson(f, a: float, b: float, steps: int) -> float:
        h = (b - a) / steps
        total = f(a) + f(b)
        for i in range(1, steps):
            total += f(a + i * h) * (4 if i % 2 else 2)
        return total * h / 3

    return simpson(lambda x: x * x - 2.0, 0.0, top, 10)
