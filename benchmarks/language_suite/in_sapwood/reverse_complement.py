from driver import report_bytes

from sapwood import fn


@fn
def reverse_complement(text: bytes) -> bytes:
    complement = bytearray(256)
    for a, b in zip(b"ACGTUMRWSYKVHDBNacgtumrwsykvhdbn", b"TGCAAKYWSRMBDHVNTGCAAKYWSRMBDHVN", strict=True):
        complement[a] = b
    out = bytearray()
    i = 0
    while i < len(text):
        while i < len(text) and text[i] != 10:
            out.append(text[i])
            i += 1
        out += b"\n"
        i += 1
        sequence = bytearray()
        while i < len(text) and text[i] != 62:
            if text[i] != 10:
                sequence.append(complement[text[i]])
            i += 1
        for k, base in enumerate(reversed(sequence)):
            out.append(base)
            if k % 60 == 59:
                out += b"\n"
        if len(sequence) % 60:
            out += b"\n"
    return bytes(out)


def prepare(n: int, data: bytes) -> bytes:
    return data


def run(text: bytes, threads: int) -> bytes:
    return reverse_complement(text)


report = report_bytes
