import numpy as np
from numba import njit


@njit
def crc32(text):
    table = np.zeros(256, np.uint32)
    for i in range(256):
        c = i
        for _ in range(8):
            c = c >> 1 ^ 0xEDB88320 if c & 1 else c >> 1
        table[i] = c
    crc = np.uint32(0xFFFFFFFF)
    for byte in text:
        crc = crc >> np.uint32(8) ^ table[(crc ^ byte) & np.uint32(255)]
    return crc ^ np.uint32(0xFFFFFFFF)


def prepare(n, data):
    return np.frombuffer(data, np.uint8)


def run(text, threads):
    return crc32(text)


report = str
