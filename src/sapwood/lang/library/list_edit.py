"""Lists: inserting, deleting, slices, repetition. See list.py for the words and what `kind` and `stored` are."""

from __future__ import annotations

from sapwood.lang.api.annotations import Ptr
from sapwood.lang.api.dtypes import i64
from sapwood.lang.function import fn, shared_code
from sapwood.lang.library.list import CAPACITY, DATA, LENGTH, TOO_MANY, list_new, list_reserve
from sapwood.lang.ops.heap import elements, elements_at, free, stored_size, take, words
from sapwood.lang.ops.raw import holds_references, keep, move_memory


@shared_code("elements", unit=True)
def list_open(xs, stored, at: int, n: int) -> None:
    """Move the elements from `at` on up by n places, which hold nothing then."""
    w = words(xs)
    length = w[LENGTH]
    list_reserve(xs, stored, length + n)
    p = elements(xs)
    move_memory(p + (at + n), p + at, (length - at) * stored_size(stored))
    w[LENGTH] = length + n


@shared_code("elements", unit=True)
def list_close(xs, stored, at: int, n: int) -> None:
    """Move the elements behind the n empty places from `at` on down to them."""
    w = words(xs)
    length = w[LENGTH]
    p = elements(xs)
    move_memory(p + at, p + (at + n), (length - at - n) * stored_size(stored))
    w[LENGTH] = length - n


@fn(unchecked=True)
def list_insert(xs, stored, i: int, x) -> None:
    n = words(xs)[LENGTH]
    if i < 0:
        i = max(i + n, 0)
    i = min(i, n)
    list_open(xs, stored, i, 1)
    elements(xs)[i] = x


@fn(unchecked=True)
def list_take(xs, stored, i: int):
    """The element i, which leaves the list."""
    x = take(elements(xs), i)
    list_close(xs, stored, i, 1)
    return x


@shared_code("elements", unit=True)
def list_discard(xs, stored, i: int) -> None:
    x = take(elements(xs), i)
    list_close(xs, stored, i, 1)
    keep(x)  # ends when the list is whole again


@shared_code("elements", unit=True)
def list_clear(xs, stored) -> None:
    """No elements; the list is empty before the first of them ends."""
    w = words(xs)
    n, capacity, data = w[LENGTH], w[CAPACITY], w[DATA]
    w[LENGTH] = 0
    w[CAPACITY] = 0
    w[DATA] = 0
    if capacity > 0:
        if holds_references(stored):
            p = elements_at(Ptr[i64](data), stored)
            for i in range(n):
                take(p, i)
        free(Ptr[i64](data), capacity * stored_size(stored))


@fn(unchecked=True, inline=True)
def copy_elements(target, source, stored, start: int, step: int, count: int) -> None:
    """Elements into places that hold nothing, and do not overlap them."""
    if holds_references(stored):
        for i in range(count):
            target[i] = source[start + i * step]
    elif step == 1:
        move_memory(target, source + start, count * stored_size(stored))
    else:
        for i in range(count):
            target[i] = source[start + i * step]


@fn(unchecked=True, inline=True)
def repeat_elements(p, stored, n: int, total: int) -> None:
    """The first n elements again and again, until there are `total`."""
    if holds_references(stored):
        for i in range(n, total):
            p[i] = p[i - n]
        return
    done = n
    while done < total:  # what is there doubles
        count = min(done, total - done)
        move_memory(p + done, p, count * stored_size(stored))
        done += count


@shared_code("elements", unit=True)
def list_slice(kind, stored, xs, start: int, step: int, count: int):
    """A new list of `count` elements."""
    ys = list_new(kind, stored, count)
    copy_elements(elements(ys), elements(xs), stored, start, step, count)
    words(ys)[LENGTH] = count
    return ys


@shared_code("elements", unit=True)
def list_extend(xs, stored, ys, start: int, step: int, count: int) -> None:
    """Append elements of another list, or of the same."""
    n = words(xs)[LENGTH]
    list_reserve(xs, stored, n + count)
    copy_elements(elements(xs) + n, elements(ys), stored, start, step, count)
    words(xs)[LENGTH] = n + count


@shared_code("elements")
def list_move_in(xs, stored, at: int, ys) -> None:
    """Move all elements of ys, which nobody else has, into empty places of xs."""
    w = words(ys)
    n = w[LENGTH]
    move_memory(elements(xs) + at, elements(ys), n * stored_size(stored))
    w[LENGTH] = 0


@shared_code("elements", unit=True)
def list_replace(kind, stored, xs, start: int, count: int, ys) -> None:
    """`xs[start:start + count] = ys`, where nobody else has ys."""
    old = list_new(kind, stored, count)
    n = words(ys)[LENGTH]
    if n > count:
        list_reserve(xs, stored, words(xs)[LENGTH] + n - count)
    move_memory(elements(old), elements(xs) + start, count * stored_size(stored))
    words(old)[LENGTH] = count
    if n > count:
        list_open(xs, stored, start, n - count)
    elif n < count:
        list_close(xs, stored, start, count - n)
    list_move_in(xs, stored, start, ys)
    keep(old)  # ends when the list is whole again


@shared_code("elements", unit=True)
def list_replace_stepped(xs, stored, start: int, step: int, count: int, ys) -> None:
    """`xs[start::step] = ys` for `count` elements: they change places with those of ys, which nobody else has."""
    p, q = elements(xs), elements(ys)
    for i in range(count):
        x = take(p, start + i * step)
        p[start + i * step] = take(q, i)
        q[i] = x


@shared_code("elements", unit=True)
def list_delete(kind, stored, xs, start: int, step: int, count: int) -> None:
    """`del xs[start::step]` for `count` elements."""
    if count == 0:
        return
    if step < 0:
        start, step = start + (count - 1) * step, -step
    old = list_new(kind, stored, count)
    w = words(xs)
    n = w[LENGTH]
    p, q = elements(xs), elements(old)
    size = stored_size(stored)
    to = start
    for i in range(count):
        at = start + i * step
        q[i] = take(p, at)
        after = min(at + step, n) if i + 1 < count else n
        move_memory(p + to, p + (at + 1), (after - at - 1) * size)
        to += after - at - 1
    words(old)[LENGTH] = count
    w[LENGTH] = n - count
    keep(old)  # ends when the list is whole again


@shared_code("elements", unit=True)
def list_reverse(xs) -> None:
    i, j = 0, words(xs)[LENGTH] - 1
    p = elements(xs)
    while i < j:
        x = take(p, i)
        p[i] = take(p, j)
        p[j] = x
        i += 1
        j -= 1


@fn(unchecked=True, inline=True)
def times(n: int, k: int) -> int:
    """n * k elements, or more than there can be."""
    return n * k if n == 0 or k <= TOO_MANY // n else TOO_MANY


@shared_code("elements", unit=True)
def list_repeat(kind, stored, xs, k: int):
    """`xs * k`"""
    n = words(xs)[LENGTH]
    k = max(k, 0) if n > 0 else 0
    ys = list_new(kind, stored, times(n, k))
    if k > 0:
        copy_elements(elements(ys), elements(xs), stored, 0, 1, n)
        repeat_elements(elements(ys), stored, n, n * k)
    words(ys)[LENGTH] = n * k
    return ys


@shared_code("elements", unit=True)
def list_repeat_in_place(xs, stored, k: int) -> None:
    """`xs *= k` for k > 0"""
    n = words(xs)[LENGTH]
    total = times(n, k)
    list_reserve(xs, stored, total)
    repeat_elements(elements(xs), stored, n, total)
    words(xs)[LENGTH] = total


@fn(unchecked=True, unit=True)
def slice_range(start: int, stop: int, step: int, n: int) -> tuple[int, int]:
    """(first index, number of items) of a slice of n items, as CPython adjusts them."""
    if start < 0:
        start += n
        if start < 0:
            start = -1 if step < 0 else 0
    elif start >= n:
        start = n - 1 if step < 0 else n
    if stop < 0:
        stop += n
        if stop < 0:
            stop = -1 if step < 0 else 0
    elif stop >= n:
        stop = n - 1 if step < 0 else n
    count = 0
    if step < 0:
        if stop < start:
            count = (start - stop - 1) // -step + 1
    elif start < stop:
        count = (stop - start - 1) // step + 1
    return start, count
