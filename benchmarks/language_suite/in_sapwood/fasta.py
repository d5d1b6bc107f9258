from driver import report_bytes

from sapwood import fn

UNIT = b"GATTACAGGCCTTAAGCGCGATATCCGGTTAACTGACGTACGTTAGCATCGATCGGATCCAATTGCGCAATGCCTAGGCTAACCGTTAGGCATGCAAGCTT"


@fn
def repeat(out: bytearray, title: bytes, length: int) -> None:
    out += title
    for i in range(length):
        out.append(UNIT[i % len(UNIT)])
        if i % 60 == 59:
            out += b"\n"
    if length % 60:
        out += b"\n"


@fn
def weighted(out: bytearray, title: bytes, length: int, letters: bytes, weights: list[float], seed: int) -> int:
    limits = []
    total = 0.0
    for weight in weights:
        total += weight
        limits.append(total)
    out += title
    for i in range(length):
        seed = (seed * 3877 + 29573) % 139968
        r = seed / 139968.0
        k = 0
        while k < len(letters) - 1 and r >= limits[k]:
            k += 1
        out.append(letters[k])
        if i % 60 == 59:
            out += b"\n"
    if length % 60:
        out += b"\n"
    return seed


@fn
def fasta(n: int) -> bytes:
    out = bytearray()
    many = [0.27, 0.12, 0.12, 0.27] + [0.02] * 11
    repeat(out, b">ONE repeated\n", n)
    seed = weighted(out, b">TWO codes\n", n, b"acgtBDHKMNRSVWY", many, 42)
    weighted(out, b">THREE bases\n", n, b"acgt", [0.303, 0.198, 0.1975, 0.3015], seed)
    return bytes(out)


def prepare(n: int, data: bytes) -> int:
    return n


def run(n: int, threads: int) -> bytes:
    return fasta(n)


report = report_bytes
