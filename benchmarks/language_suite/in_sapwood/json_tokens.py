from sapwood import List, fn

PUNCTUATION, STRING, NUMBER, WORD = range(4)


@fn
def tokens(text: str) -> List[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    i = 0
    n = len(text)
    while i < n:
        c = text[i]
        start = i
        if c in " \n\t\r":
            i += 1
        elif c in "{}[],:":
            i += 1
            found.append((PUNCTUATION, start, i))
        elif c == '"':
            i += 1
            while text[i] != '"':
                i += 2 if text[i] == "\\" else 1
            i += 1
            found.append((STRING, start, i))
        elif c == "-" or "0" <= c <= "9":
            while i < n and ("0" <= text[i] <= "9" or text[i] in "-+.eE"):
                i += 1
            found.append((NUMBER, start, i))
        else:
            while i < n and "a" <= text[i] <= "z":
                i += 1
            found.append((WORD, start, i))
    return found


def prepare(n: int, data: bytes) -> str:
    return data.decode()


def run(text: str, threads: int) -> List[tuple[int, int, int]]:
    return tokens(text)


@fn
def report(found: List[tuple[int, int, int]]) -> str:
    kinds, total = [0] * 4, 0
    for kind, start, end in found:
        kinds[kind] += 1
        total = (total * 31 + end - start) % 1000000007
    return f"{kinds[0]} {kinds[1]} {kinds[2]} {kinds[3]} {total}"
