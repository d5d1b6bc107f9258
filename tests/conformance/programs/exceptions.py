"""raise, try, except, else, finally, user exceptions."""

from conformance import case, fn


@case(1)
@case(-1)
@fn
def raises(n: int) -> int:
    if n < 0:
        raise ValueError("negative")
    return n


@case(1)
@fn
def raises_class(n: int) -> int:
    raise KeyError


@case(1)
@fn
def raises_with_number(n: int) -> int:
    raise KeyError(n)


@case(1)
@fn
def raises_with_two(n: int) -> int:
    raise RuntimeError("text", n)


@case(3)
@case(0)
@fn
def catches(n: int) -> int:
    try:
        return 10 // n
    except ZeroDivisionError:
        return -1


@case(3)
@case(0)
@case(-1)
@fn
def try_else_finally(n: int) -> int:
    total = 0
    try:
        if n < 0:
            raise ValueError("n")
        total += 10 // n
    except ZeroDivisionError:
        total += 100
    except ValueError:
        total += 200
    else:
        total += 1000
    finally:
        total += 1
    return total


@case(0)
@fn
def wrong_handler(n: int) -> int:
    try:
        return 1 // n
    except ValueError:
        return 0


@case(0)
@case(1)
@fn
def tuple_of_classes(n: int) -> int:
    try:
        if n:
            raise IndexError("i")
        return 1 // n
    except (ZeroDivisionError, IndexError):
        return 7


@case(0)
@fn
def base_class(n: int) -> int:
    try:
        return 1 // n
    except ArithmeticError:
        return 5


@case(0)
@fn
def catch_all(n: int) -> int:
    try:
        return 1 // n
    except Exception:
        return 5


@case(0)
@fn
def bare_except(n: int) -> int:
    try:
        return 1 // n
    except:
        return 6


@case(0)
@fn
def as_name(n: int) -> str:
    try:
        return str(1 // n)
    except ZeroDivisionError as e:
        return str(e)


@case(0)
@fn
def reraises(n: int) -> int:
    try:
        return 1 // n
    except ZeroDivisionError:
        print("seen")
        raise


@case(0)
@fn
def raises_another(n: int) -> int:
    try:
        return 1 // n
    except ZeroDivisionError:
        raise ValueError("replaced")


@case(0)
@fn
def from_cause(n: int) -> int:
    try:
        return 1 // n
    except ZeroDivisionError as e:
        raise ValueError("replaced") from e


@case(0)
@fn
def from_none(n: int) -> int:
    try:
        return 1 // n
    except ZeroDivisionError:
        raise ValueError("replaced") from None


@case(0)
@case(2)
@fn
def nested(n: int) -> int:
    total = 0
    try:
        try:
            total += 10 // n
        finally:
            total += 1
        total += 50
    except ZeroDivisionError:
        total += 1000
    return total


@case(5)
@fn
def in_a_loop(n: int) -> int:
    total = 0
    for i in range(-n, n):
        try:
            total += 100 // i
        except ZeroDivisionError:
            continue
        if i == 3:
            break
    return total


@case(3)
@fn
def break_through_finally(n: int) -> int:
    total = 0
    for i in range(10):
        try:
            if i == n:
                break
            if i == 1:
                continue
            total += i
        finally:
            total += 100
    return total


@case(3)
@fn
def return_through_finally(n: int) -> int:
    try:
        return n
    finally:
        print("finally")


@case(3)
@fn
def finally_overrides(n: int) -> int:
    try:
        return n
    finally:
        return n + 1


@fn
def divide(a: int, b: int) -> int:
    return a // b


@case(0)
@case(4)
@fn
def from_a_call(n: int) -> int:
    try:
        return divide(100, n) + divide(8, n - 4)
    except ZeroDivisionError:
        return -1


@fn
def deep(n: int) -> int:
    if n == 0:
        raise LookupError("bottom")
    return deep(n - 1) + 1


@case(5)
@fn
def from_deep_recursion(n: int) -> int:
    try:
        return deep(n)
    except LookupError:
        return n


class Problem(Exception):
    """An exception of the program's own."""


class Special(Problem):
    pass


@case(1)
@fn
def own_exception(n: int) -> int:
    raise Problem("mine")


@case(1)
@case(2)
@fn
def catches_own(n: int) -> int:
    try:
        if n == 1:
            raise Special("s")
        raise Problem("p")
    except Special:
        return 1
    except Problem:
        return 2


@case(1)
@fn
def own_by_base(n: int) -> int:
    try:
        raise Special("s")
    except Problem:
        return 3


@case(3)
@fn
def variables_after(n: int) -> tuple[int, int]:
    a, b = 1, 1
    try:
        a = 2
        b = 1 // (n - 3)
        a = 3
    except ZeroDivisionError:
        b = 9
    return a, b


@case(4)
@fn
def prints_in_order(n: int) -> None:
    for i in range(n):
        try:
            print("try", i)
            if i == 1:
                raise ValueError("one")
            if i == 2:
                raise KeyError("two")
        except ValueError:
            print("except", i)
            continue
        except KeyError:
            print("key", i)
        else:
            print("else", i)
        finally:
            print("finally", i)
        print("after", i)


@case(0)
@fn
def in_handler(n: int) -> int:
    try:
        return 1 // n
    except ZeroDivisionError:
        return 2 // n


@case(0)
@fn
def handler_in_handler(n: int) -> int:
    try:
        return 1 // n
    except ZeroDivisionError:
        try:
            return 2 // n
        except ZeroDivisionError:
            return 77


@case(3)
@fn
def retries(n: int) -> int:
    attempts = 0
    while True:
        try:
            attempts += 1
            if attempts < n:
                raise TimeoutError("again")
            return attempts
        except TimeoutError:
            pass


@case(0)
@fn
def else_raises(n: int) -> int:
    try:
        a = n
    except ZeroDivisionError:
        return -1
    else:
        return 1 // a


@case(2)
@fn
def message_with_value(n: int) -> int:
    raise ValueError(f"n is {n}, which is {n * 0.5}")


@case(0)
@case(1)
@fn
def args_of_exception(n: int) -> int:
    try:
        raise ValueError("a", 2)
    except ValueError as e:
        return len(e.args)
