"""Whole programs of the textbooks: against CPython, boxed CPython and the evaluator."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import field

from oracles import agree

from sapwood import fn, struct


class InsufficientFunds(Exception):
    pass


@struct
class Account:
    owner: str
    balance: float = 0.0
    history: list[tuple[str, float]] = field(default_factory=list)

    def deposit(self, amount: float) -> None:
        if amount <= 0:
            raise ValueError(f"bad amount {amount!r}")
        self.balance += amount
        self.history.append(("deposit", amount))

    def withdraw(self, amount: float) -> None:
        if amount > self.balance:
            raise InsufficientFunds(f"{self.owner} has {self.balance:.2f}, needs {amount:.2f}")
        self.balance -= amount
        self.history.append(("withdraw", amount))

    @property
    def is_empty(self) -> bool:
        return self.balance == 0

    def __repr__(self) -> str:
        return f"<Account {self.owner} {self.balance:,.2f}>"


@fn
def bank(people: list[tuple[str, float]], moves: list[tuple[str, str, float]]) -> tuple[list[str], list[str]]:
    accounts = {name: Account(name, b) for name, b in people}
    errors = []
    for src, dst, amount in moves:
        try:
            accounts[src].withdraw(amount)
            accounts[dst].deposit(amount)
        except InsufficientFunds as e:
            errors.append(str(e))
        except KeyError as e:
            errors.append(f"no account {e}")
        except ValueError as e:
            errors.append(repr(e))
    return ([repr(a) for a in accounts.values()], errors)


def test_bank() -> None:
    agree(
        bank,
        [("ann", 100.0), ("bob", 50.0)],
        [("ann", "bob", 30.0), ("bob", "ann", 500.0), ("ann", "zed", 1.0), ("ann", "bob", -1.0)],
        plain=True,
    )


@struct
class TrieNode:
    children: dict[str, TrieNode] = field(default_factory=dict)
    end: bool = False


@struct
class Trie:
    root: TrieNode = field(default_factory=TrieNode)

    def insert(self, w: str) -> None:
        node = self.root
        for ch in w:
            if ch not in node.children:
                node.children[ch] = TrieNode()
            node = node.children[ch]
        node.end = True

    def walk(self, prefix: str) -> list[str]:
        node = self.root
        for ch in prefix:
            nxt = node.children.get(ch)
            if nxt is None:
                return []
            node = nxt
        out = []

        def rec(n: TrieNode, acc: str) -> None:
            if n.end:
                out.append(acc)
            for c, m in sorted(n.children.items(), key=lambda kv: kv[0]):
                rec(m, acc + c)

        rec(node, prefix)
        return out


@fn
def trie(words: list[str], p: str) -> list[str]:
    t = Trie()
    for w in words:
        t.insert(w)
    return t.walk(p)


def test_trie() -> None:
    agree(trie, ["car", "card", "care", "cat", "dog"], "car", plain=True)


@fn
def huffman(s: str) -> dict[str, str]:
    heap = [(c, i, ch, -1, -1) for i, (ch, c) in enumerate(Counter(s).most_common())]
    heapq.heapify(heap)
    nodes = list(heap)
    n = len(heap)
    nodes = sorted(heap, key=lambda t: t[1])
    while len(heap) > 1:
        a, b = (heapq.heappop(heap), heapq.heappop(heap))
        t = (a[0] + b[0], n, "", a[1], b[1])
        nodes.append(t)
        heapq.heappush(heap, t)
        n += 1
    codes = {}
    stack = [(heap[0][1], "")]
    while stack:
        i, code = stack.pop()
        *_, ch, left, right = nodes[i]
        if ch:
            codes[ch] = code or "0"
        else:
            stack += [(left, code + "0"), (right, code + "1")]
    return dict(sorted(codes.items()))


def test_huffman() -> None:
    agree(huffman, "abracadabra", plain=True)


@fn
def topo(g: dict[str, set[str]]) -> list[str]:
    indeg = Counter(v for vs in g.values() for v in vs)
    q = deque(v for v in g if not indeg[v])
    out = []
    while q:
        u = q.popleft()
        out.append(u)
        for v in sorted(g[u]):
            indeg[v] -= 1
            if indeg[v] == 0:
                q.append(v)
    if len(out) != len(g):
        raise ValueError("cycle: " + ", ".join(sorted(g.keys() - set(out))))
    return out


def test_topo() -> None:
    agree(topo, {"a": {"b", "c"}, "b": {"c"}, "c": set()}, plain=True)
    agree(topo, {"a": {"b"}, "b": {"a"}}, plain=True)


@fn
def knights(n: int) -> list[list[int]] | None:
    board = [[-1] * n for _ in range(n)]
    moves = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))

    def free(x, y):
        return [
            (x + dx, y + dy)
            for dx, dy in moves
            if 0 <= x + dx < n and 0 <= y + dy < n and (board[x + dx][y + dy] == -1)
        ]

    def go(x: int, y: int, k: int) -> bool:
        board[x][y] = k
        if k == n * n - 1:
            return True
        for nx, ny in sorted(free(x, y), key=lambda p: len(free(*p))):
            if go(nx, ny, k + 1):
                return True
        board[x][y] = -1
        return False

    return board if go(0, 0, 0) else None


def test_knights() -> None:
    agree(knights, 5, plain=True)


@fn
def sudoku(s: str) -> str | None:
    grid = [int(c) if c != "." else 0 for c in s]

    def ok(i: int, v: int) -> bool:
        r, c = divmod(i, 9)
        return all(grid[r * 9 + k] != v and grid[k * 9 + c] != v for k in range(9)) and (
            not any(grid[(r // 3 * 3 + a) * 9 + c // 3 * 3 + b] == v for a in range(3) for b in range(3))
        )

    def solve() -> bool:
        try:
            i = grid.index(0)
        except ValueError:
            return True
        for v in range(1, 10):
            if ok(i, v):
                grid[i] = v
                if solve():
                    return True
                grid[i] = 0
        return False

    if not solve():
        return None
    return "".join(map(str, grid))


def test_sudoku() -> None:
    agree(sudoku, "53..789.2672.95.4819.34.56785.7.142342.85379.71.9248.696.537.84.87.1963.34.28.179", plain=True)


@struct
class Timer:
    log: list[str]
    name: str

    def __enter__(self) -> Timer:
        self.log.append(f"enter {self.name}")
        return self

    def __exit__(self, et, ev, tb) -> bool:
        self.log.append(f"exit {self.name} {et is not None}")
        return et is not None and issubclass(et, ValueError)


@fn
def withs(n: int) -> list[str]:
    log = []
    for i in range(n):
        with Timer(log, f"t{i}") as t, Timer(log, "inner"):
            t.log.append(t.name * 2)
            if i == 1:
                raise ValueError("x")
            if i == 2:
                continue
    return log


def test_withs() -> None:
    agree(withs, 3, plain=True)


class AppError(Exception):
    """base"""


class ParseError(AppError):
    def __init__(self, line: int, msg: str) -> None:
        super().__init__(f"line {line}: {msg}")
        self.line = line


@fn
def config(lines: list[str]) -> tuple[dict[str, int], list[str]]:

    def parse(i: int, line: str) -> tuple[str, int]:
        key, sep, val = line.partition("=")
        if not sep:
            raise ParseError(i, f"no '=' in {line!r}")
        try:
            return (key.strip(), int(val))
        except ValueError as e:
            raise AppError("bad value") from e

    out, errs = ({}, [])
    for i, line in enumerate(lines, start=1):
        try:
            k, v = parse(i, line)
        except ParseError as e:
            errs.append(str(e))
        except AppError as e:
            errs.append(f"{e!r}")
        else:
            out[k] = v
        finally:
            errs.append("-")
    return (out, errs)


def test_config() -> None:
    agree(config, ["a=1", "b = two", "novalue", "c=3"], plain=True)


@struct
class Node:
    val: int
    left: Node | None = None
    right: Node | None = None


@struct
class BST:
    root: Node | None = None
    n: int = 0

    def add(self, v: int) -> None:
        self.n += 1
        if self.root is None:
            self.root = Node(v)
            return
        cur = self.root
        while True:
            if v < cur.val:
                if cur.left is None:
                    cur.left = Node(v)
                    return
                cur = cur.left
            else:
                if cur.right is None:
                    cur.right = Node(v)
                    return
                cur = cur.right

    def __iter__(self) -> Iterator[int]:
        stack, cur = ([], self.root)
        while stack or cur:
            while cur:
                stack.append(cur)
                cur = cur.left
            cur = stack.pop()
            yield cur.val
            cur = cur.right

    def __len__(self) -> int:
        return self.n

    def __contains__(self, v: int) -> bool:
        cur = self.root
        while cur and cur.val != v:
            cur = cur.left if v < cur.val else cur.right
        return cur is not None

    def height(self) -> int:

        def h(n: Node | None) -> int:
            return 0 if n is None else 1 + max(h(n.left), h(n.right))

        return h(self.root)


@fn
def bst(xs: list[int]) -> tuple[list[int], int, int, bool, bool]:
    t = BST()
    for x in xs:
        t.add(x)
    return (list(t), len(t), t.height(), 8 in t, 7 in t)


def test_bst() -> None:
    agree(bst, [5, 2, 8, 1, 9, 3], plain=True)


@fn
def edit(a: str, b: str) -> tuple[int, list[str]]:
    dp = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            dp[i, j] = min(dp[i - 1, j] + 1, dp[i, j - 1] + 1, dp[i - 1, j - 1] + (x != y))
    i, j, ops = (len(a), len(b), [])
    while i or j:
        if i and j and (dp[i, j] == dp[i - 1, j - 1] + (a[i - 1] != b[j - 1])):
            if a[i - 1] != b[j - 1]:
                ops.append(f"sub {a[i - 1]}->{b[j - 1]}")
            i -= 1
            j -= 1
        elif i and dp[i, j] == dp[i - 1, j] + 1:
            ops.append(f"del {a[i - 1]}")
            i -= 1
        else:
            ops.append(f"ins {b[j - 1]}")
            j -= 1
    return (dp[len(a), len(b)], ops[::-1])


def test_edit() -> None:
    agree(edit, "kitten", "sitting", plain=True)


@fn
def csv(text: str) -> tuple[list[dict[str, str]], float, list[str]]:
    header, *rows = [line.split(",") for line in text.splitlines() if line]
    recs = [dict(zip(header, r)) for r in rows]
    bad, ages = ([], [])
    for r in recs:
        try:
            ages.append(int(r["age"]))
        except ValueError as e:
            bad.append(f"{r['name']}: {e}")
    return (recs, sum(ages) / len(ages), bad)


def test_csv() -> None:
    agree(csv, "name,age\nann,30\nbob,x\n\ncid,25\n", plain=True)


@fn
def bfs(maze: list[str], start: tuple[int, int], goal: tuple[int, int]) -> list[tuple[int, int]] | None:
    q, prev = (deque([start]), {start: None})
    while q:
        cur = q.popleft()
        if cur == goal:
            path = []
            while cur is not None:
                path.append(cur)
                cur = prev[cur]
            return path[::-1]
        r, c = cur
        for nr, nc in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
            if 0 <= nr < len(maze) and 0 <= nc < len(maze[0]) and (maze[nr][nc] != "#") and ((nr, nc) not in prev):
                prev[nr, nc] = cur
                q.append((nr, nc))
    return None


def test_bfs() -> None:
    agree(bfs, ["..#.", "..#.", "....", ".##."], (0, 0), (0, 3), plain=True)
