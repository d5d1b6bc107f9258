"""if, while, for, break, continue, else, return, conditional expressions, short circuits."""

from conformance import case, fn


@case(5)
@case(0)
@case(-5)
@fn
def sign(n: int) -> int:
    if n > 0:
        return 1
    elif n < 0:
        return -1
    else:
        return 0


@case(85)
@case(60)
@case(10)
@case(101)
@fn
def ladder(n: int) -> int:
    if n >= 90:
        grade = 1
    elif n >= 80:
        grade = 2
    elif n >= 50:
        grade = 3
    else:
        grade = 4
    return grade


@case(10, 3)
@case(10, 50)
@fn
def for_else(n: int, stop: int) -> int:
    for i in range(n):
        if i == stop:
            break
    else:
        return -1
    return i


@case(10)
@case(7)
@fn
def while_else(n: int) -> tuple[int, bool]:
    ended = False
    while n > 0:
        n -= 3
        if n == 1:
            break
    else:
        ended = True
    return n, ended


@case(10)
@fn
def continues(n: int) -> int:
    total = 0
    for i in range(n):
        if i % 2:
            continue
        if i == 8:
            break
        total += i
    return total


@case(6)
@fn
def nested_break(n: int) -> tuple[int, int]:
    pairs, steps = 0, 0
    for i in range(n):
        for j in range(n):
            steps += 1
            if j > i:
                break
            if (i + j) % 3 == 0:
                continue
            pairs += 1
    return pairs, steps


@case(3, 5, 1)
@case(10, 0, -3)
@case(0, 10, 4)
@case(5, 5, 1)
@case(0, 5, 0)
@fn
def ranges(a: int, b: int, c: int) -> int:
    total = 0
    for i in range(a, b, c):
        total = total * 10 + i
    return total


@case(4)
@fn
def range_of_variable_is_evaluated_once(n: int) -> int:
    count = 0
    for _ in range(n):
        n += 1
        count += 1
    return count * 100 + n


@case(4)
@fn
def loop_variable_assigned(n: int) -> int:
    total = 0
    for i in range(n):
        total += i
        i = 100
        total += i
    return total


@case(3)
@case(0)
@fn
def last_value(n: int) -> int:
    i = -1
    for i in range(n):
        pass
    return i


@case(5, True)
@case(5, False)
@fn
def conditional_expression(n: int, up: bool) -> int:
    return n + 1 if up else n - 1 if n > 3 else 0


@case(0)
@case(4)
@fn
def short_circuit_and(n: int) -> bool:
    return n != 0 and 10 // n > 2


@case(0)
@case(4)
@fn
def short_circuit_or(n: int) -> bool:
    return n == 0 or 10 // n > 2


@case(5)
@fn
def infinite_with_break(n: int) -> int:
    while True:
        n += 1
        if n > 100:
            break
        n *= 2
    return n


@case(3)
@fn
def return_from_loops(n: int) -> int:
    for i in range(10):
        for j in range(10):
            if i * j > n * n:
                return i * 100 + j
    return -1


@case(1)
@case(0)
@fn
def pass_and_ellipsis(n: int) -> int:
    if n:
        pass
    else:
        ...
    return n


@case(2)
@case(-2)
@fn
def only_one_branch_assigns(n: int) -> int:
    value = 1
    if n > 0:
        value = n * 10
    return value


@case(3)
@case(0)
@fn
def widening(n: int) -> float:
    total = 0
    for i in range(n):
        total = total + i / 2
    return total + 0.0


@case(1, 2)
@fn
def swap(a: int, b: int) -> tuple[int, int]:
    a, b = b, a
    return a, b


@case(5)
@fn
def multiple_targets(n: int) -> tuple[int, int, int]:
    a = b = c = n
    b += 1
    c *= 2
    return a, b, c


@case(10)
@fn
def walrus(n: int) -> int:
    total = 0
    while (k := n - total) > 3:
        total += k // 2
    return total * 10 + k


@case(3)
@fn
def assertion(n: int) -> int:
    assert n > 0
    return n


@case(-3)
@fn
def assertion_fails(n: int) -> int:
    assert n > 0, "n must be positive"
    return n


@case(-3)
@fn
def assertion_without_text(n: int) -> int:
    assert n > 0
    return n


@case(7)
@fn
def deep_nesting(n: int) -> int:
    count = 0
    for a in range(n):
        if a % 2:
            for b in range(a):
                while b < a:
                    if b == 3:
                        break
                    b += 1
                    count += b
                else:
                    count += 1000
        else:
            count -= 1
    return count


@case(3)
@fn
def boolean_algebra(n: int) -> tuple[bool, bool, bool]:
    a, b = n > 2, n > 5
    return a and not b, a != b, (a | b) & (a ^ b)


@case(3, 3)
@case(3, 4)
@fn
def compare_bools(a: int, b: int) -> tuple[bool, bool]:
    return (a == b) is True, (a == b) == (b == a)


@case(12)
@fn
def fizz(n: int) -> None:
    for i in range(1, n + 1):
        if i % 15 == 0:
            print("FizzBuzz")
        elif i % 3 == 0:
            print("Fizz")
        elif i % 5 == 0:
            print("Buzz")
        else:
            print(i)


@case(4)
@fn
def delete_name(n: int) -> int:
    a = n
    b = a + 1
    del a
    return b


@case(0)
@fn
def nothing(n: int) -> None:
    return None


@case(5)
@case(-1)
@fn
def early_return_none(n: int) -> None:
    if n < 0:
        return
    print(n)
