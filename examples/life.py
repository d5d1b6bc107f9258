"""Conway's Game of Life without a board: a generation is a set of the cells that live.

    python examples/life.py

Shows sets and dicts of tuples, and comprehensions over text.
"""

from __future__ import annotations

from sapwood import fn

R_PENTOMINO = """
.##
##.
.#.
"""


@fn
def step(cells: set[tuple[int, int]]) -> set[tuple[int, int]]:
    counts: dict[tuple[int, int], int] = {}
    for x, y in cells:
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx or dy:
                    key = (x + dx, y + dy)
                    counts[key] = counts.get(key, 0) + 1
    return {cell for cell, n in counts.items() if n == 3 or (n == 2 and cell in cells)}


@fn
def parse(text: str) -> set[tuple[int, int]]:
    return {(x, y) for y, line in enumerate(text.splitlines()) for x, c in enumerate(line) if c == "#"}


@fn
def show(cells: set[tuple[int, int]]) -> str:
    if not cells:
        return "(empty)"
    x0 = min(x for x, _ in cells)
    x1 = max(x for x, _ in cells)
    y0 = min(y for _, y in cells)
    y1 = max(y for _, y in cells)
    rows: list[str] = []
    for y in range(y0, y1 + 1):
        rows.append("".join("#" if (x, y) in cells else "." for x in range(x0, x1 + 1)))
    return "\n".join(rows)


@fn
def run(text: str, generations: int) -> str:
    cells = parse(text)
    for _ in range(generations):
        cells = step(cells)
    return show(cells)


if __name__ == "__main__":
    print(run(R_PENTOMINO, 60))
