from __future__ import annotations

from sapwood import fn, struct


@struct
class Tree:
    left: Tree | None
    right: Tree | None


@fn
def grow(depth: int) -> Tree:
    if depth == 0:
        return Tree(None, None)
    return Tree(grow(depth - 1), grow(depth - 1))


@fn
def count(tree: Tree) -> int:
    if tree.left is None or tree.right is None:
        return 1
    return 1 + count(tree.left) + count(tree.right)


@fn
def trees(depth: int) -> int:
    kept = grow(depth)
    total = 0
    for d in range(4, depth + 1, 4):
        for _ in range(1 << depth - d + 4):
            total += count(grow(d))
    return total + count(kept)


def prepare(n: int, data: bytes) -> int:
    return n


def run(depth: int, threads: int) -> int:
    return trees(depth)


report = str
