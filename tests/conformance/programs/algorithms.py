"""Programs as people write them: graphs, parsing, dynamic programming, simulation."""

from conformance import case, fn


@case([(2, 3), (3, 4), (4, 5)], 5)
@fn
def knapsack(items: list[tuple[int, int]], room: int) -> int:
    best = [0] * (room + 1)
    for weight, value in items:
        for r in range(room, weight - 1, -1):
            best[r] = max(best[r], best[r - weight] + value)
    return best[room]


@case([1, 5, 10], 18)
@fn
def coin_change(coins: list[int], amount: int) -> int:
    ways = [1] + [0] * amount
    for coin in coins:
        for a in range(coin, amount + 1):
            ways[a] += ways[a - coin]
    return ways[amount]


@case([[1, 2], [3, 4]])
@fn
def determinant(rows: list[list[int]]) -> int:
    if len(rows) == 1:
        return rows[0][0]
    total = 0
    for c, value in enumerate(rows[0]):
        minor = [row[:c] + row[c + 1 :] for row in rows[1:]]
        total += (-1) ** c * value * determinant(minor)
    return total


@case([3, 1, 2])
@fn
def permutations(values: list[int]) -> list[list[int]]:
    if len(values) <= 1:
        return [values]
    out: list[list[int]] = []
    for i in range(len(values)):
        for rest in permutations(values[:i] + values[i + 1 :]):
            out.append([values[i]] + rest)
    return out


@case([38, 27, 43, 3, 9, 82, 10])
@fn
def merge_sort(values: list[int]) -> list[int]:
    if len(values) <= 1:
        return values
    middle = len(values) // 2
    left, right = merge_sort(values[:middle]), merge_sort(values[middle:])
    out: list[int] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            out.append(left[i])
            i += 1
        else:
            out.append(right[j])
            j += 1
    return out + left[i:] + right[j:]


@case([5, 3, 8, 1])
@fn
def heap_sort(values: list[int]) -> list[int]:
    heap: list[int] = []
    for v in values:
        heap.append(v)
        i = len(heap) - 1
        while i > 0 and heap[(i - 1) // 2] > heap[i]:
            heap[i], heap[(i - 1) // 2] = heap[(i - 1) // 2], heap[i]
            i = (i - 1) // 2
    out = []
    while heap:
        out.append(heap[0])
        last = heap.pop()
        if heap:
            heap[0] = last
            i = 0
            while True:
                child = 2 * i + 1
                if child >= len(heap):
                    break
                if child + 1 < len(heap) and heap[child + 1] < heap[child]:
                    child += 1
                if heap[i] <= heap[child]:
                    break
                heap[i], heap[child] = heap[child], heap[i]
                i = child
    return out


@case(5)
@fn
def pascal(n: int) -> list[list[int]]:
    rows = [[1]]
    for _ in range(n):
        last = rows[-1]
        rows.append([1] + [a + b for a, b in zip(last, last[1:])] + [1])
    return rows


@case(3)
@fn
def spiral(n: int) -> list[int]:
    grid = [[r * n + c for c in range(n)] for r in range(n)]
    out: list[int] = []
    while grid:
        out.extend(grid.pop(0))
        grid = [[row[c] for row in grid] for c in range(len(grid[0]) - 1, -1, -1)] if grid else []
    return out


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
