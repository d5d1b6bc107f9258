from sapwood import fn


@fn
def levenshtein(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a):
        current = [i + 1]
        for j, y in enumerate(b):
            change = previous[j] + (x != y)
            current.append(min(change, previous[j + 1] + 1, current[j] + 1))
        previous = current
    return previous[-1]


def prepare(n: int, data: bytes) -> list[str]:
    return data.decode().split("\n")


def run(words: list[str], threads: int) -> int:
    return levenshtein(words[0], words[1])


report = str
