from sapwood import fn


@fn
def crc32(text: bytes) -> int:
    table = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = c >> 1 ^ 0xEDB88320 if c & 1 else c >> 1
        table.append(c)
    crc = 0xFFFFFFFF
    for byte in text:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def prepare(n: int, data: bytes) -> bytes:
    return data


def run(text: bytes, threads: int) -> int:
    return crc32(text)


report = str
