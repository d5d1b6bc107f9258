import numpy as np
from driver import report_bytes
from numba import njit


def complements():
    table = np.zeros(256, np.uint8)
    for a, b in zip(b"ACGTUMRWSYKVHDBNacgtumrwsykvhdbn", b"TGCAAKYWSRMBDHVNTGCAAKYWSRMBDHVN", strict=True):
        table[a] = b
    return table


@njit
def reverse_complement(text, complement):
    out = np.empty(len(text) + 64, np.uint8)
    sequence = np.empty(len(text), np.uint8)
    i = at = 0
    while i < len(text):
        while i < len(text) and text[i] != 10:
            out[at] = text[i]
            at += 1
            i += 1
        out[at] = 10
        at += 1
        i += 1
        length = 0
        while i < len(text) and text[i] != 62:
            if text[i] != 10:
                sequence[length] = complement[text[i]]
                length += 1
            i += 1
        for k in range(length):
            out[at] = sequence[length - 1 - k]
            at += 1
            if k % 60 == 59:
                out[at] = 10
                at += 1
        if length % 60:
            out[at] = 10
            at += 1
    return out[:at]


def prepare(n, data):
    return np.frombuffer(data, np.uint8)


def run(text, threads):
    return reverse_complement(text, complements()).tobytes()


report = report_bytes
