"""What itertools computes: the i-th of the combinations and permutations of n places, and what is gathered at once."""

from __future__ import annotations

from sapwood.lang.function import fn


@fn
def binomial(n: int, r: int) -> int:
    """How many combinations there are."""
    if r > n:
        return 0
    total = 1
    for i in range(min(r, n - r)):
        if total > 9223372036854775807 // (n - i):
            raise OverflowError("too many combinations")
        total = total * (n - i) // (i + 1)
    return total


@fn
def combination(n: int, r: int, i: int):
    """The places of the i-th combination, in lexicographic order."""
    out = []
    place = 0
    left = binomial(n - 1, r - 1) if r > 0 else 0  # combinations that begin with `place`
    while len(out) < r:
        if i < left:
            out.append(place)
            size = r - len(out)
            left = left * size // (n - place - 1) if n - place > 1 else 0
        else:
            i -= left
            size = r - len(out)
            rest = n - place - 1
            left = left * (rest - size + 1) // rest if rest > 0 else 0
        place += 1
    return out


@fn
def arrangements(n: int, r: int) -> int:
    """How many permutations of r among n there are."""
    if r > n:
        return 0
    total = 1
    for i in range(r):
        if total > 9223372036854775807 // (n - i):
            raise OverflowError("too many permutations")
        total *= n - i
    return total


@fn
def permutation(n: int, r: int, i: int):
    """The places of the i-th permutation, in lexicographic order."""
    free = list(range(n))
    out = []
    block = arrangements(n, r)
    for k in range(r):
        block //= n - k
        out.append(free.pop(i // block))
        i %= block
    return out


@fn(inline=True)
def accumulated(items, function, start):
    out = [start]
    for x in items:
        out.append(function(out[-1], x))
    return out


@fn(inline=True)
def groups(items, key):
    out = []
    for x in items:
        k = x if key is None else key(x)
        if len(out) > 0 and out[-1][0] == k:
            out[-1][1].append(x)
        else:
            out.append((k, [x]))
    return out


@fn(inline=True)
def flattened(iterables):
    return [x for items in iterables for x in items]
