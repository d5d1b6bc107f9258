"""How long compiling takes: programs as people write them, and functions that grow.

    python benchmarks/compile_time.py [--repeat 3] [--json FILE]

Processor time of the first call, with an empty cache, in a process that has compiled something before. Code with text
and dicts (text_program.py) links to the library, whose functions are compiled when first needed and kept in the cache:
it is measured without them, as on a new machine, and with them. The rows of `growth` double the size of a function; a
time that more than doubles from row to row is not linear.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import linecache
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_serial = itertools.count()
HEAD = "@fn\ndef f(a: int, b: int) -> int:\n"


def function(text: str) -> Any:
    """`f` of a source text."""
    from sapwood import fn

    name = f"<compile time {next(_serial)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"fn": fn, "__name__": "compile_time"}
    exec(compile(text, name, "exec"), scope)
    return scope["f"]


def ten_lines(salt: int) -> str:
    return (
        f"{HEAD}    total = {salt}\n    for i in range(b):\n        if i % 3 == 0:\n            total += a\n"
        "        elif i % 5 == 0:\n            total -= i\n        else:\n            total = total * 2 + i\n"
        "    return total + b\n"
    )


def two_hundred_lines(salt: int) -> str:
    """Twenty functions of ten lines, each calling the one before it or two."""
    parts: list[str] = []
    for k in range(20):
        inner = f"step{k - 1}(n - 1, x)" if k else "float(n)"
        parts.append(
            f"@fn\ndef step{k}(n: int, x: float) -> float:\n    low, high = 0.0, x + {salt}\n    for i in range(n):\n"
            f"        if i % {k + 2} == 0:\n            low += {inner if k % 4 == 0 else 'high * 0.5'}\n"
            f"        else:\n            high -= low / {k + 1}.5\n    best = max(low, high)\n"
            f"    return best + {inner}\n"
        )
    return "".join(parts) + f"{HEAD}    return int(step19(a, 0.5)) + b\n"


def statements(n: int) -> str:
    return (
        f"{HEAD}    x = a\n"
        + "".join(f"    x = (x * {i + 3} + b) ^ (x >> {i % 7 + 1})\n" for i in range(n))
        + "    return x\n"
    )


def branches(n: int) -> str:
    lines = (f"    if x % {i + 2} == 1:\n        x += b\n    else:\n        x -= {i}\n" for i in range(n // 4))
    return f"{HEAD}    x = a\n" + "".join(lines) + "    return x\n"


def loops(n: int) -> str:
    lines = (f"    for i in range(b):\n        x += i * {i + 1}\n" for i in range(n // 2))
    return f"{HEAD}    x = a\n" + "".join(lines) + "    return x\n"


def variables(n: int) -> str:
    """Many values that live through one loop."""
    first = "".join(f"    v{i} = a + {i}\n" for i in range(n // 3))
    inside = "".join(f"        v{i} += i\n" for i in range(n // 3))
    last = "".join(f"    total ^= v{i}\n" for i in range(n // 3))
    return f"{HEAD}{first}    for i in range(b):\n{inside}    total = 0\n{last}    return total\n"


def tuple_literal(n: int) -> str:
    items = ", ".join(str(i * 7 % 1001) for i in range(n))
    return f"{HEAD}    total = 0\n    for v in ({items}):\n        total += v\n    return total + a\n"


def list_literal(n: int) -> str:
    items = ", ".join(str(i * 7 % 1001) for i in range(n))
    return f"{HEAD}    values = [{items}]\n    return values[a] + b\n"


def nested_list_literal(n: int) -> str:
    rows = ", ".join(f"[{i}, {i + 1}, {i + 2}, {i * 3}]" for i in range(n // 4))
    return f"{HEAD}    rows = [{rows}]\n    return rows[a][b]\n"


SHAPES = (statements, branches, loops, variables, tuple_literal, list_literal, nested_list_literal)
SIZES = (100, 200, 400, 800)


def seconds(text: str) -> float:
    """Processor time of the first call."""
    f = function(text)
    start = time.process_time()
    f(1, 2)
    return time.process_time() - start


SALES = "1,apple,3,2.5\n1,pear,2,4\n2,apple,1,3 # late\n3,plum-x,10,0.5\noops\n4,9x,1,1\nx,pear,1,1\n"


def text_seconds(directory: Path, salt: int) -> float:
    """Processor time of the first call of text_program.py."""
    source = Path(__file__).with_name("text_program.py").read_text()
    name = f"text_program_{salt}"
    (directory / f"{name}.py").write_text(source.replace("mean of nothing", f"mean of nothing {salt}"))
    report = importlib.import_module(name).report
    start = time.process_time()
    assert report(SALES, "product=apple&over=1").startswith("4 sales, 3 errors")
    return time.process_time() - start


def best(make: Callable[[int], str], repeat: int) -> float:
    return min(seconds(make(salt)) for salt in range(repeat))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the seconds to this file")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SAPWOOD_CACHE_DIR"] = cache
        sys.path.insert(0, cache)
        seconds(ten_lines(1000))
        for name, make, limit in (("ten lines", ten_lines, 0.06), ("two hundred lines", two_hundred_lines, 1.0)):
            rows[name] = best(make, options.repeat)
            print(f"{name:<22}{rows[name] * 1e3:>9.1f} ms   limit {limit * 1e3:.0f} ms", flush=True)
        for name, found in (
            ("text, new machine", text_seconds(Path(cache), 0)),
            ("text", min(text_seconds(Path(cache), salt) for salt in range(1, options.repeat + 1))),
        ):
            rows[name] = found
            print(f"{name:<22}{found * 1e3:>9.1f} ms   limit 1000 ms", flush=True)
        print(f"\n{'lines or items':<22}" + "".join(f"{size:>10}" for size in SIZES) + "   last over first, of 8")
        for shape in SHAPES:
            times = [seconds(shape(size)) for size in SIZES]
            rows[shape.__name__] = dict(zip(SIZES, times, strict=True))
            line = "".join(f"{t * 1e3:>7.0f} ms" for t in times)
            print(f"{shape.__name__:<22}{line}{times[-1] / times[0]:>12.1f}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
