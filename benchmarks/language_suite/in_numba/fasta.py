import numpy as np
from driver import report_bytes
from numba import njit

UNIT = np.frombuffer(
    b"GATTACAGGCCTTAAGCGCGATATCCGGTTAACTGACGTACGTTAGCATCGATCGGATCCAATTGCGCAATGCCTAGGCTAACCGTTAGGCATGCAAGCTT",
    np.uint8,
)


@njit
def repeat(out, at, title, length, unit):
    for c in title:
        out[at] = c
        at += 1
    for i in range(length):
        out[at] = unit[i % len(unit)]
        at += 1
        if i % 60 == 59:
            out[at] = 10
            at += 1
    if length % 60:
        out[at] = 10
        at += 1
    return at


@njit
def weighted(out, at, title, length, letters, weights, seed):
    limits = np.cumsum(weights)
    for c in title:
        out[at] = c
        at += 1
    for i in range(length):
        seed = (seed * 3877 + 29573) % 139968
        r = seed / 139968.0
        k = 0
        while k < len(letters) - 1 and r >= limits[k]:
            k += 1
        out[at] = letters[k]
        at += 1
        if i % 60 == 59:
            out[at] = 10
            at += 1
    if length % 60:
        out[at] = 10
        at += 1
    return at, seed


def codes(text):
    return np.frombuffer(text, np.uint8)


def prepare(n, data):
    return n


def run(n, threads):
    many = np.array([0.27, 0.12, 0.12, 0.27, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02])
    four = np.array([0.303, 0.198, 0.1975, 0.3015])
    out = np.empty(3 * (n + n // 60 + 20), np.uint8)
    at = repeat(out, 0, codes(b">ONE repeated\n"), n, UNIT)
    at, seed = weighted(out, at, codes(b">TWO codes\n"), n, codes(b"acgtBDHKMNRSVWY"), many, 42)
    at, seed = weighted(out, at, codes(b">THREE bases\n"), n, codes(b"acgt"), four, seed)
    return out[:at].tobytes()


report = report_bytes
