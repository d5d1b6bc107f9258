from numba import njit, types
from numba.typed import Dict


@njit
def count(text):
    counts = Dict.empty(types.unicode_type, types.int64)
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def prepare(n, data):
    return data.decode()


def run(text, threads):
    counts = count(text)
    return len(counts), sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:10]


def report(result):
    return f"{result[0]} " + " ".join(f"{word} {count}" for word, count in result[1])
