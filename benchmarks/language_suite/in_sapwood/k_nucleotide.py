from sapwood import fn

WANTED = (b"a", b"ga", b"ggt", b"ggta", b"ggtatt", b"ggtattttaatt", b"ggtattttaatttatagt")


@fn
def code(base: int) -> int:
    if base == 97:
        return 0
    if base == 99:
        return 1
    if base == 103:
        return 2
    return 3


@fn
def count(text: bytes, width: int) -> dict[int, int]:
    counts: dict[int, int] = {}
    key = 0
    mask = (1 << 2 * width) - 1
    for i, base in enumerate(text):
        key = (key << 2 | code(base)) & mask
        if i + 1 >= width:
            counts[key] = counts.get(key, 0) + 1
    return counts


@fn
def look_up(text: bytes, word: bytes) -> int:
    counts = count(text, len(word))
    key = 0
    for base in word:
        key = key << 2 | code(base)
    return counts.get(key, 0) * 1000000 + len(counts)


def prepare(n: int, data: bytes) -> bytes:
    return data


def run(text: bytes, threads: int) -> list[int]:
    return [look_up(text, word) for word in WANTED]


def report(result: list[int]) -> str:
    return " ".join(map(str, result))
