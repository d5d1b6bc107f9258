from sapwood import fn


@fn
def sieve(n: int) -> int:
    prime = [True] * (n + 1)
    i = 2
    while i * i <= n:
        if prime[i]:
            for j in range(i * i, n + 1, i):
                prime[j] = False
        i += 1
    found = 0
    for i in range(2, n + 1):
        if prime[i]:
            found += 1
    return found


def prepare(n: int, data: bytes) -> int:
    return n


def run(n: int, threads: int) -> int:
    return sieve(n)


report = str
