from sapwood import fn, parallel, set_num_threads


@fn
def hits(seed: int, draws: int) -> int:
    found = 0
    for _ in range(draws):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        x = seed / 2147483648.0
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        y = seed / 2147483648.0
        if x * x + y * y <= 1.0:
            found += 1
    return found


@fn
def pi(n: int) -> float:
    inside = 0
    for chunk in parallel(64, add=inside):
        inside += hits(chunk * 7919 + 1, n // 64)
    return 4.0 * inside / (n // 64 * 64)


def prepare(n: int, data: bytes) -> int:
    return n


def run(n: int, threads: int) -> float:
    set_num_threads(threads)
    return pi(n)


report = repr
