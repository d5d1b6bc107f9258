"""Library code that containers of many types share (infer/erasure.py), for values of every layout."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sapwood import f32, fn, i8, struct, u16
from sapwood.runtime.heap import live_objects


@struct(frozen=True)
class Pair:
    a: int
    b: str


@struct
class Node:
    name: str
    next: Node | None = None


def make_bool(i: int) -> bool:
    return i % 2 == 0


def make_byte(i: int) -> i8:
    return i8(i)


def make_short(i: int) -> u16:
    return u16(i)


def make_single(i: int) -> f32:
    return f32(i) / f32(4)


def make_float(i: int) -> float:
    return i / 8


def make_complex(i: int) -> complex:
    return complex(i, -i)


def make_text(i: int) -> str:
    return "t" + str(i)


def make_maybe_text(i: int) -> str | None:
    return None if i % 3 == 0 else str(i)


def make_maybe_int(i: int) -> int | None:
    return None if i % 3 == 0 else i


def make_tuple(i: int) -> tuple[bool, str, float]:
    return i > 2, str(i), i / 2


def make_list(i: int) -> list[int]:
    return [i, i + 1]


def make_dict(i: int) -> dict[str, int]:
    return {str(i): i}


def make_pair(i: int) -> Pair:
    return Pair(i, str(i))


MAKERS = [
    make_bool, make_byte, make_short, make_single, make_float, make_complex, make_text, make_maybe_text,
    make_maybe_int, make_tuple, make_list, make_dict, make_pair,
]  # fmt: skip


def edits(make: Any) -> Any:
    make = fn(make)

    @fn
    def edited(n: int) -> str:
        xs = [make(i) for i in range(n)]
        xs.append(make(n))
        xs.insert(1, make(100))
        ys = xs[::-1]
        xs.extend(ys)
        xs += ys[1:3]
        xs[2:4] = ys[:3]
        xs[::2] = xs[1::2] + ys[: len(xs[::2]) - len(xs[1::2])]
        del xs[1]
        del ys[::2]
        xs.reverse()
        zs = ys * 3 + xs
        zs *= 2
        last = zs.pop()
        zs.append(last)
        ys.clear()
        return str(xs) + str(ys) + str(zs)

    return edited


def values(make: Any) -> Any:
    make = fn(make)

    @fn
    def valued(n: int) -> str:
        by_text = {str(i): make(i) for i in range(n)}
        by_number = {i: make(i) for i in range(n)}
        by_both = {(i, str(i)): make(i) for i in range(n)}
        for i in range(0, n, 2):
            by_text[str(i)] = make(i + 1)
            by_number[i] = make(i + 1)
            by_both[i, str(i)] = make(i + 1)
            by_text.setdefault(str(i + 50), make(i))
            by_number.setdefault(i + 50, make(i))
        for i in range(0, n, 3):
            del by_text[str(i)]
            by_number.pop(i)
            by_both.pop((i, str(i)))
        copy = by_text.copy()
        copy.update(by_text)
        by_text.clear()
        missing = 0
        for i in range(n):
            missing += int(str(i) not in copy) + int(i not in by_number) + int((i, str(i)) not in by_both)
        return f"{copy} {by_text} {by_number} {by_both} {missing}"

    return valued


@pytest.mark.parametrize("make", MAKERS)
def test_lists_of_every_layout(make: Any) -> None:
    _agree(edits(make), make)


@pytest.mark.parametrize("make", MAKERS)
def test_dicts_with_values_of_every_layout(make: Any) -> None:
    _agree(values(make), make)


def _agree(f: Any, make: Any) -> None:
    before = live_objects()
    for n in (1, 4, 13):
        expected = re.sub(r"\b(?:i8|u16|f32)\(([^)]*)\)", r"\1", f.python(n))  # in Python a narrow number says its type
        assert f(n) == expected, (make, n)
        if n == 4:
            assert f.reference(n) == expected, (make, n)
    assert live_objects() == before


@fn
def nodes(n: int) -> str:
    """Objects that end only with the last container that has them."""
    chain: Node | None = None
    kept = {}
    seen = []
    for i in range(n):
        chain = Node(str(i), chain)
        kept[chain.name] = chain
        seen.append(chain)
        kept.setdefault(str(i // 2), chain)
    found = seen[::3]
    seen.clear()
    names = [x.name for x in found]
    kept["0"] = found[0]
    return ",".join(names) + str(len(kept)) + kept["0"].name


def test_objects_in_shared_containers() -> None:
    before = live_objects()
    for n in (1, 5, 40):
        assert nodes(n) == nodes.python(n)
    assert live_objects() == before


@fn
def many_sets(n: int) -> str:
    numbers = {i * 7 for i in range(n)}
    texts = {str(i) for i in range(n)}
    pairs = {(i, str(i)) for i in range(n)}
    floats = {i / 2 for i in range(n)}
    total = 0
    for x in numbers:
        total += x
    for t in texts:
        total += len(t)
    for p in pairs:
        total += p[0] + len(p[1])
    for f in floats:
        total += int(f)
    texts -= {"1", "2"}
    numbers |= {3, 5}
    return f"{total} {sorted(numbers)} {sorted(texts)} {sorted(pairs & {(1, '1'), (9, '9')})} {len(floats)}"


def test_sets_of_many_types() -> None:
    before = live_objects()
    for n in (0, 3, 70):
        assert many_sets(n) == many_sets.python(n) == many_sets.reference(n)
    assert live_objects() == before
