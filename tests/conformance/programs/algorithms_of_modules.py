"""heapq, bisect and functools.reduce."""

import bisect
import functools
import heapq
import operator
from bisect import insort
from functools import reduce
from heapq import heapify, heappop, heappush

from conformance import case, fn

from sapwood import struct


@struct(frozen=True)
class Job:
    priority: int
    name: str

    def __lt__(self, other: "Job") -> bool:
        return self.priority > other.priority


@case([3, 1, 2, 9, 4])
@fn
def heap_of_objects(priorities: list[int]) -> list[str]:
    heap: list[Job] = []
    for p in priorities:
        heapq.heappush(heap, Job(p, f"job {p}"))
    return [heapq.heappop(heap).name for _ in range(len(heap))]


@case([5, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])
@case([])
@case([1])
@fn
def heap_order(xs: list[int]) -> tuple[list[int], list[int], list[int]]:
    heap = []
    states = []
    for x in xs:
        heappush(heap, x)
        states += heap
    other = xs[:]
    heapify(other)
    states += other
    out = []
    while heap:
        out.append(heappop(heap))
        states += heap
    return out, states, other


@case(["pear", "fig", "apple", "date", "kiwi", "fig"])
@fn
def heap_of_texts(words: list[str]) -> tuple[list[tuple[int, str]], str, list[tuple[int, str]]]:
    heap = [(len(w), w) for w in words]
    heapq.heapify(heap)
    first = heapq.heapreplace(heap, (9, "cranberry"))
    second = heapq.heappushpop(heap, (1, "a"))
    third = heapq.heappushpop(heap, (5, "grape"))
    rest = []
    while heap:
        rest.append(heapq.heappop(heap))
    return rest, first[1] + second[1] + third[1], [(n, w) for n, w in rest if n > 4]


@case()
@fn
def pop_of_nothing() -> int:
    heap = [1]
    heappop(heap)
    return heappop(heap)


@case()
@fn
def replace_of_nothing() -> int:
    heap: list[int] = []
    return heapq.heapreplace(heap, 1)


@case([3.5, -1.0, 2.0, 7.25], 2)
@case([3.5, -1.0, 2.0, 7.25], 9)
@case([3.5], -1)
@fn
def extremes(xs: list[float], n: int) -> tuple[list[float], list[float], list[float]]:
    return heapq.nsmallest(n, xs), heapq.nlargest(n, xs), heapq.nsmallest(n, xs, key=lambda x: -x)


@case({"a": [("b", 7), ("c", 3)], "c": [("b", 1), ("d", 8)], "b": [("d", 2)], "d": []}, "a")
@fn
def dijkstra(graph: dict[str, list[tuple[str, int]]], start: str) -> dict[str, int]:
    distances = {start: 0}
    queue = [(0, start)]
    while queue:
        distance, node = heapq.heappop(queue)
        if distance > distances[node]:
            continue
        for neighbour, length in graph[node]:
            total = distance + length
            if neighbour not in distances or total < distances[neighbour]:
                distances[neighbour] = total
                heapq.heappush(queue, (total, neighbour))
    return distances


@case([1, 3, 3, 5], 3)
@case([1, 3, 3, 5], 0)
@case([1, 3, 3, 5], 9)
@case([], 1)
@fn
def places(xs: list[int], x: int) -> tuple[int, int, int, list[int]]:
    ys = xs[:]
    bisect.insort(ys, x)
    bisect.insort_left(ys, x)
    insort(ys, x, 0, len(ys))
    return bisect.bisect_left(xs, x), bisect.bisect_right(xs, x), bisect.bisect(xs, x), ys


@case(["a", "bb", "dddd"], 3)
@fn
def with_key(words: list[str], n: int) -> tuple[int, list[str], int]:
    out = words[:]
    bisect.insort(out, "ccc", key=len)
    return bisect.bisect_left(words, n, key=len), out, bisect.bisect_right(words, 1, lo=1, hi=2, key=lambda w: len(w))


@case(-1)
@case(0)
@fn
def bad_bound(lo: int) -> int:
    return bisect.bisect_left([1, 2, 3], 2, lo)


@case(59)
@case(90)
@case(100)
@fn
def grade(score: int) -> str:
    return "FDCBA"[bisect.bisect((60, 70, 80, 90), score)]


@case([1, 2, 3, 4])
@case([])
@fn
def products(xs: list[int]) -> int:
    return reduce(lambda a, b: a * b, xs, 1) * 10 + functools.reduce(operator.add, xs, 0)


@case([3, 9, 2])
@case([])
@fn
def reduced(xs: list[int]) -> int:
    return reduce(max, xs) * 100 + reduce(lambda a, b: a - b, (x * 2 for x in xs))


@case(["a", "b"])
@fn
def joined(words: list[str]) -> str:
    return reduce(lambda a, b: a + "-" + b, words)
