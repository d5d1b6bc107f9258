import numpy as np
from numba import njit


@njit
def levenshtein(a, b):
    previous = np.arange(len(b) + 1)
    current = np.zeros_like(previous)
    for i in range(len(a)):
        current[0] = i + 1
        for j in range(len(b)):
            change = previous[j] + (a[i] != b[j])
            current[j + 1] = min(change, previous[j + 1] + 1, current[j] + 1)
        previous, current = current, previous
    return previous[len(b)]


def prepare(n, data):
    return [np.frombuffer(word, np.uint8) for word in data.split(b"\n")]


def run(words, threads):
    return levenshtein(words[0], words[1])


report = str
