from sapwood import fn


@fn
def count(text: str) -> tuple[int, list[tuple[str, int]]]:
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return len(counts), sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:10]


def prepare(n: int, data: bytes) -> str:
    return data.decode()


def run(text: str, threads: int) -> tuple[int, list[tuple[str, int]]]:
    return count(text)


def report(result: tuple[int, list[tuple[str, int]]]) -> str:
    return f"{result[0]} " + " ".join(f"{word} {count}" for word, count in result[1])
