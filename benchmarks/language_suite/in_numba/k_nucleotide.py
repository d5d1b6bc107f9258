import numpy as np
from numba import njit, types
from numba.typed import Dict

WANTED = (b"a", b"ga", b"ggt", b"ggta", b"ggtatt", b"ggtattttaatt", b"ggtattttaatttatagt")


@njit
def code(base):
    if base == 97:
        return 0
    if base == 99:
        return 1
    if base == 103:
        return 2
    return 3


@njit
def count(text, width):
    counts = Dict.empty(types.int64, types.int64)
    key = 0
    mask = (1 << 2 * width) - 1
    for i in range(len(text)):
        key = (key << 2 | code(text[i])) & mask
        if i + 1 >= width:
            counts[key] = counts.get(key, 0) + 1
    return counts


@njit
def look_up(text, word):
    counts = count(text, len(word))
    key = 0
    for base in word:
        key = key << 2 | code(base)
    return counts.get(key, 0) * 1000000 + len(counts)


def prepare(n, data):
    return np.frombuffer(data, np.uint8)


def run(text, threads):
    return [look_up(text, np.frombuffer(word, np.uint8)) for word in WANTED]


def report(result):
    return " ".join(map(str, result))
