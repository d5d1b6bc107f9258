from numba import deferred_type, njit, optional
from numba.experimental import jitclass

tree_type = deferred_type()


@jitclass([("left", optional(tree_type)), ("right", optional(tree_type))])
class Tree:
    def __init__(self):
        self.left = None
        self.right = None


tree_type.define(Tree.class_type.instance_type)


@njit
def grow(depth):
    tree = Tree()
    if depth == 0:
        return tree
    tree.left = grow(depth - 1)
    tree.right = grow(depth - 1)
    return tree


@njit
def count(tree):
    if tree.left is None:
        return 1
    left, right = tree.left, tree.right
    return 1 + count(left) + count(right)


@njit
def trees(depth):
    kept = grow(depth)
    total = 0
    for d in range(4, depth + 1, 4):
        for _ in range(1 << depth - d + 4):
            total += count(grow(d))
    return total + count(kept)


def prepare(n, data):
    return n


def run(depth, threads):
    return trees(depth)


report = str
