"""Lists: building, indexing, slices, methods, nesting, aliasing."""

from conformance import case, fn


@case(3)
@case(0)
@fn
def append_all(n: int) -> list[int]:
    out = []
    for i in range(n):
        out.append(i * i)
    return out


@case(2)
@case(-1)
@case(3)
@case(-4)
@fn
def index(i: int) -> int:
    values = [10, 20, 30]
    return values[i]


@case(1)
@case(5)
@fn
def store(i: int) -> list[int]:
    values = [1, 2, 3]
    values[i] = 99
    values[-1] += 5
    return values


@case([1, 2, 3])
@case([])
@fn
def total(values: list[int]) -> int:
    out = 0
    for v in values:
        out += v
    return out


@case([1.5, -2.0])
@fn
def floats(values: list[float]) -> list[float]:
    return [v * 2 for v in values]


@case([3, 1, 2])
@case([])
@fn
def built_ins(values: list[int]) -> tuple[int, int]:
    return len(values), sum(values)


@case([3, 1, 2])
@case([])
@fn
def smallest(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


@case([1, 2, 3, 4, 5], 1, 4)
@case([1, 2, 3, 4, 5], -2, 10)
@case([1, 2, 3], 2, 1)
@fn
def slices(values: list[int], a: int, b: int) -> tuple[list[int], list[int], list[int]]:
    return values[a:b], values[:a], values[b:]


@case([1, 2, 3, 4, 5])
@case([])
@fn
def stepped_slices(values: list[int]) -> tuple[list[int], list[int], list[int]]:
    return values[::2], values[::-1], values[-2::-2]


@case([1, 2, 3])
@fn
def zero_step(values: list[int]) -> list[int]:
    k = len(values) - 3
    return values[::k]


@case(3)
@fn
def repeat(n: int) -> list[int]:
    return [0, 1] * n


@case(2)
@fn
def concatenate(n: int) -> list[int]:
    a = [1] + [n, 3]
    a += [4]
    return a + a


@case(2)
@case(7)
@fn
def contains(n: int) -> tuple[bool, bool]:
    values = [1, 2, 3]
    return n in values, n not in values


@case(3)
@fn
def pop_last(n: int) -> tuple[int, list[int]]:
    values = [n, n + 1, n + 2]
    last = values.pop()
    return last, values


@case(0)
@case(-2)
@case(3)
@fn
def pop_at(i: int) -> tuple[int, list[int]]:
    values = [1, 2, 3]
    x = values.pop(i)
    return x, values


@case(1)
@fn
def pop_empty(n: int) -> int:
    values = [n]
    values.pop()
    return values.pop()


@case(0)
@case(2)
@case(-1)
@case(100)
@case(-100)
@fn
def insert(i: int) -> list[int]:
    values = [1, 2, 3]
    values.insert(i, 9)
    return values


@case(2)
@case(9)
@fn
def remove(n: int) -> list[int]:
    values = [1, 2, 3, 2]
    values.remove(n)
    return values


@case(2)
@case(9)
@fn
def find(n: int) -> tuple[int, int]:
    values = [1, 2, 3, 2]
    return values.count(n), values.index(n)


@case(3)
@fn
def extend_and_reverse(n: int) -> list[int]:
    values = [1, 2]
    values.extend([n, 4])
    values.reverse()
    return values


@case(3)
@fn
def clear_and_copy(n: int) -> tuple[list[int], list[int]]:
    a = [n, 2]
    b = a.copy()
    a.clear()
    return a, b


@case([3, -1, 2, 2, 0])
@case([])
@fn
def sort(values: list[int]) -> list[int]:
    out = values[:]
    out.sort()
    return out


@case([3.5, -1.0, 2.25])
@fn
def sort_reverse(values: list[float]) -> list[float]:
    out = values.copy()
    out.sort(reverse=True)
    return out


@case([3, -1, 2, -2, 0])
@fn
def sort_key(values: list[int]) -> list[int]:
    out = list(values)
    out.sort(key=lambda v: v * v)
    return out


@case(3)
@fn
def alias(n: int) -> tuple[list[int], bool]:
    a = [n]
    b = a
    b.append(7)
    return a, a is b


@case(3)
@fn
def passed_to_function(n: int) -> list[int]:
    values = [n]
    fill(values, 3)
    return values


@fn
def fill(values: list[int], count: int) -> None:
    for i in range(count):
        values.append(i)


@case([1, 2], [1, 2])
@case([1, 2], [1, 3])
@case([1], [1, 0])
@case([], [])
@fn
def compare(a: list[int], b: list[int]) -> tuple[bool, bool, bool, bool]:
    return a == b, a != b, a < b, a >= b


@case(3)
@fn
def nested(n: int) -> list[list[int]]:
    grid = []
    for i in range(n):
        row = []
        for j in range(i):
            row.append(i * j)
        grid.append(row)
    return grid


@case(3)
@fn
def shared_rows(n: int) -> list[list[int]]:
    row = [0] * n
    grid = [row] * 2
    grid[0][1] = 5
    return grid


@case(2)
@fn
def nested_store(n: int) -> list[list[int]]:
    grid = [[0] * 3 for _ in range(3)]
    grid[1][n] = 7
    grid[n][0] += 2
    return grid


@case(3)
@fn
def of_tuples(n: int) -> list[tuple[int, float]]:
    out = []
    for i in range(n):
        out.append((i, i / 2))
    return out


@case(3)
@fn
def unpack_items(n: int) -> int:
    total = 0
    for a, (b, c) in [(1, (2, 3)), (n, (n, n))]:
        total += a * b * c
    return total


@case([1, 2, 3])
@case([1, 2])
@fn
def unpack(values: list[int]) -> int:
    a, b, c = values
    return a * 100 + b * 10 + c


@case([1, 2, 3, 4])
@case([1])
@fn
def unpack_star(values: list[int]) -> tuple[int, list[int], int]:
    first, *rest, last = values
    return first, rest, last


@case(5)
@fn
def delete_items(n: int) -> list[int]:
    values = list(range(n))
    del values[0]
    del values[-1]
    return values


@case(6)
@fn
def delete_slice(n: int) -> list[int]:
    values = list(range(n))
    del values[1:3]
    return values


@case(6)
@fn
def store_slice(n: int) -> list[int]:
    values = list(range(n))
    values[1:3] = [7, 8, 9]
    return values


@case([True, False])
@fn
def of_bools(values: list[bool]) -> list[bool]:
    return [not v for v in values]


@case([])
@case([0])
@fn
def truth(values: list[int]) -> bool:
    return not values


@case(4)
@fn
def append_while_iterating(n: int) -> list[int]:
    values = [1]
    for v in values:
        if len(values) < n:
            values.append(v + 1)
    return values


@case(4)
@fn
def remove_while_iterating(n: int) -> list[int]:
    values = list(range(n))
    for v in values:
        if v % 2 == 0:
            values.remove(v)
    return values


@case([4, 5])
@fn
def enumerate_zip(values: list[int]) -> int:
    total = 0
    for i, v in enumerate(values):
        total += i * v
    for a, b in zip(values, [10, 20, 30]):
        total += a * b
    return total


@case(5)
@fn
def from_range(n: int) -> tuple[list[int], list[int]]:
    return list(range(n)), list(range(n, 0, -2))


@case(3)
@fn
def printed(n: int) -> None:
    print([n, 2], [], [1.5], [[1], [2, 3]], [(1, True)])


@case(1)
@fn
def reassigned_in_loop(n: int) -> list[int]:
    values = [n]
    for i in range(4):
        values = values + [i]
    return values


@case(5, 2)
@fn
def rotate(n: int, k: int) -> list[int]:
    values = list(range(n))
    return values[k:] + values[:k]


@case(30)
@fn
def sieve(n: int) -> list[int]:
    flags = [True] * (n + 1)
    primes = []
    for i in range(2, n + 1):
        if flags[i]:
            primes.append(i)
            for j in range(i * i, n + 1, i):
                flags[j] = False
    return primes


@case([5, 2, 9, 1])
@fn
def bubble_sort(values: list[int]) -> list[int]:
    out = values[:]
    for i in range(len(out)):
        for j in range(len(out) - 1 - i):
            if out[j] > out[j + 1]:
                out[j], out[j + 1] = out[j + 1], out[j]
    return out


@case([1, 3, 5, 7], 5)
@case([1, 3, 5, 7], 4)
@fn
def binary_search(values: list[int], wanted: int) -> int:
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(values) and values[low] == wanted else -1


@case(3)
@fn
def matrix_product(n: int) -> list[list[int]]:
    a = [[i + j for j in range(n)] for i in range(n)]
    b = [[i * j + 1 for j in range(n)] for i in range(n)]
    c = [[0] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            for k in range(n):
                c[i][j] += a[i][k] * b[k][j]
    return c


@case(3)
@fn
def stack_of_lists(n: int) -> int:
    stack = [[n]]
    count = 0
    while stack:
        top = stack.pop()
        count += 1
        for v in top:
            if v > 0:
                stack.append([v - 1, v - 2])
    return count


@case(3)
@fn
def swap_lists(n: int) -> tuple[list[int], list[int]]:
    a, b = [n], [n + 1]
    a, b = b, a
    a.append(0)
    return a, b


@case(0)
@case(2)
@fn
def raises_with_live_lists(n: int) -> int:
    a = [[1, 2], [3]]
    b = [n]
    for row in a:
        b.append(row[0] // n)
    return b[a[0][5 - n]]


@case(3)
@fn
def conditional_list(n: int) -> list[int]:
    values = [1] if n > 2 else [2, 3]
    values = values or [9]
    return values


@case(5)
@fn
def any_all(n: int) -> tuple[bool, bool]:
    values = [i > 2 for i in range(n)]
    return any(values), all(values)


@case([1, 2])
@fn
def list_of_parameter_is_a_copy(values: list[int]) -> list[int]:
    other = list(values)
    other.append(len(values))
    return other


@case(3)
@fn
def multiply_assign(n: int) -> list[int]:
    values = [n]
    values *= 3
    return values
