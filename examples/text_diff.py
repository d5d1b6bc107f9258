"""What has changed between two texts, line by line.

    python examples/text_diff.py old.txt new.txt

Shows lists of lists as a table of dynamic programming, and text.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sapwood import fn

OLD = """oak
elm
ash
fir"""
NEW = """oak
ash
maple
fir"""


@fn
def common(a: list[str], b: list[str]) -> list[list[int]]:
    """[i][j]: the length of the longest common subsequence of a[i:] and b[j:]."""
    m, n = len(a), len(b)
    table = [[0] * (n + 1) for _ in range(m + 1)]
    for i in range(m - 1, -1, -1):
        for j in range(n - 1, -1, -1):
            if a[i] == b[j]:
                table[i][j] = 1 + table[i + 1][j + 1]
            else:
                table[i][j] = max(table[i + 1][j], table[i][j + 1])
    return table


@fn
def diff(a: list[str], b: list[str]) -> list[str]:
    table = common(a, b)
    out: list[str] = []
    i = j = 0
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b) and a[i] == b[j]:
            out.append(f"  {a[i]}")
            i += 1
            j += 1
        elif j == len(b) or (i < len(a) and table[i + 1][j] >= table[i][j + 1]):
            out.append(f"- {a[i]}")
            i += 1
        else:
            out.append(f"+ {b[j]}")
            j += 1
    return out


@fn
def report(old: str, new: str) -> str:
    lines = diff(old.split("\n"), new.split("\n"))
    added = sum(1 for line in lines if line.startswith("+"))
    removed = sum(line[0] == "-" for line in lines)
    header = f"{added} added, {removed} removed"
    return "\n".join([header, "-" * len(header), *lines])


if __name__ == "__main__":
    old, new = (Path(name).read_text() for name in sys.argv[1:]) if len(sys.argv) == 3 else (OLD, NEW)
    print(report(old, new))
