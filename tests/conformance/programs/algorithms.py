"""Programs as people write them: graphs, parsing, dynamic programming, simulation."""

from conformance import case, fn


@case(8)
@fn
def queens(n: int) -> int:
    columns: list[int] = []

    def safe(row: int, column: int) -> bool:
        for r, c in enumerate(columns):
            if c == column or abs(c - column) == row - r:
                return False
        return True

    def place(row: int) -> int:
        if row == n:
            return 1
        found = 0
        for column in range(n):
            if safe(row, column):
                columns.append(column)
                found += place(row + 1)
                columns.pop()
        return found

    return place(0)


@case([(0, 1), (1, 2), (3, 4)], 5)
@fn
def components(edges: list[tuple[int, int]], n: int) -> int:
    parent = list(range(n))

    def root(v: int) -> int:
        while parent[v] != v:
            parent[v] = parent[parent[v]]
            v = parent[v]
        return v

    for a, b in edges:
        parent[root(a)] = root(b)
    return len({root(v) for v in range(n)})


@case([(0, 1, 4), (0, 2, 1), (2, 1, 2), (1, 3, 5)], 0, 4)
@fn
def shortest_paths(edges: list[tuple[int, int, int]], source: int, n: int) -> list[int]:
    graph: dict[int, list[tuple[int, int]]] = {v: [] for v in range(n)}
    for a, b, w in edges:
        graph[a].append((b, w))
    distance = [10**9] * n
    distance[source] = 0
    todo = {source}
    while todo:
        v = min(todo, key=lambda u: (distance[u], u))
        todo.remove(v)
        for u, w in graph[v]:
            if distance[v] + w < distance[u]:
                distance[u] = distance[v] + w
                todo.add(u)
    return distance


@case({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, "a")
@fn
def breadth_first(graph: dict[str, list[str]], start: str) -> list[str]:
    seen, queue = {start}, [start]
    at = 0
    while at < len(queue):
        for other in graph[queue[at]]:
            if other not in seen:
                seen.add(other)
                queue.append(other)
        at += 1
    return queue


@case("1 + 2 * (3 - 4) - 5")
@case("2 * (3 + 4) * 5")
@case("7 +")
@case("(1")
@fn
def calculator(text: str) -> int:
    tokens = text.replace("(", " ( ").replace(")", " ) ").split()
    at = 0

    def factor() -> int:
        nonlocal at
        if at >= len(tokens):
            raise ValueError("the text ends early")
        token = tokens[at]
        at += 1
        if token == "(":
            value = total()
            if at >= len(tokens) or tokens[at] != ")":
                raise ValueError("missing )")
            at += 1
            return value
        return int(token)

    def product() -> int:
        nonlocal at
        value = factor()
        while at < len(tokens) and tokens[at] == "*":
            at += 1
            value *= factor()
        return value

    def total() -> int:
        nonlocal at
        value = product()
        while at < len(tokens) and tokens[at] in "+-":
            sign = 1 if tokens[at] == "+" else -1
            at += 1
            value += sign * product()
        return value

    return total()


@case("3 4 + 2 *")
@case("1 0 /")
@case("1 +")
@fn
def reverse_polish(text: str) -> int:
    stack: list[int] = []
    for token in text.split():
        if token in ("+", "-", "*", "/"):
            b = stack.pop()
            a = stack.pop()
            if token == "+":
                stack.append(a + b)
            elif token == "-":
                stack.append(a - b)
            elif token == "*":
                stack.append(a * b)
            else:
                stack.append(a // b)
        else:
            stack.append(int(token))
    return stack[-1]


@case("([]{})")
@case("([)]")
@case("((")
@fn
def brackets(text: str) -> bool:
    pairs = {")": "(", "]": "[", "}": "{"}
    stack: list[str] = []
    for c in text:
        if c in pairs:
            if not stack or stack.pop() != pairs[c]:
                return False
        else:
            stack.append(c)
    return not stack


@case("ABCBDAB", "BDCABA")
@fn
def common_subsequence(a: str, b: str) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[j]:
                table[i + 1][j + 1] = table[i][j] + 1
            else:
                table[i + 1][j + 1] = max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


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


@case([".#.", "###", "..."], 2)
@fn
def life(rows: list[str], steps: int) -> list[str]:
    alive = {(r, c) for r, row in enumerate(rows) for c, x in enumerate(row) if x == "#"}
    for _ in range(steps):
        counts: dict[tuple[int, int], int] = {}
        for r, c in alive:
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    if dr or dc:
                        key = (r + dr, c + dc)
                        counts[key] = counts.get(key, 0) + 1
        alive = {key for key, k in counts.items() if k == 3 or (k == 2 and key in alive)}
    return ["".join("#" if (r, c) in alive else "." for c in range(len(rows[0]))) for r in range(len(rows))]


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


@case(1994)
@case(49)
@fn
def roman(n: int) -> str:
    out = ""
    for value, letters in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),
                           (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        while n >= value:
            out += letters
            n -= value
    return out


@case("name,age\nann,31\nbob,x\n")
@case("name,age\nann,31\n")
@fn
def csv(text: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for line in text.splitlines()[1:]:
        name, age = line.split(",")
        out[name] = int(age)
    return out


@case(100)
@fn
def sieve_set(n: int) -> int:
    composite: set[int] = set()
    count = 0
    for i in range(2, n):
        if i not in composite:
            count += 1
            composite.update(range(i * i, n, i))
    return count


@case("the quick brown the lazy the quick")
@fn
def top_words(text: str) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:3]


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


@case("mississippi")
@fn
def suffixes(text: str) -> list[int]:
    return sorted(range(len(text)), key=lambda i: text[i:])


@case(12)
@fn
def look_and_say(n: int) -> int:
    text = "1"
    for _ in range(n):
        out, i = [], 0
        while i < len(text):
            j = i
            while j < len(text) and text[j] == text[i]:
                j += 1
            out.append(f"{j - i}{text[i]}")
            i = j
        text = "".join(out)
    return len(text)


@case("abcabcbb")
@case("")
@fn
def longest_unique(text: str) -> int:
    last: dict[str, int] = {}
    best = start = 0
    for i, c in enumerate(text):
        if c in last and last[c] >= start:
            start = last[c] + 1
        last[c] = i
        best = max(best, i - start + 1)
    return best


@case(6)
@fn
def simulate_queue(n: int) -> list[str]:
    log: list[str] = []
    queue: list[tuple[int, str]] = [(0, "start")]
    while queue and len(log) < n:
        queue.sort()
        time, name = queue.pop(0)
        log.append(f"{time}:{name}")
        queue.append((time + 2, name + "a"))
        if len(name) < 7:
            queue.append((time + 1, "b"))
    return log


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
