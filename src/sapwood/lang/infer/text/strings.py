"""`str` in compiled code: operators, items, methods. The work is done in library/text_*.py.

A method of a constant with constant arguments is Python's own; so texts stay compile-time values until they meet one
that is not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.border import demand
from sapwood.lang.infer.builtins import builtin
from sapwood.lang.infer.heap import HeapRules
from sapwood.lang.infer.iteration.protocol import Iteration, is_iterable
from sapwood.lang.infer.text.characters import character, is_character
from sapwood.lang.infer.text.sizes import sizes_of
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith, heap
from sapwood.lang.ops.constants import data_pointer
from sapwood.lang.ops.convert import bitcast
from sapwood.lang.ops.objects import api, is_of_type
from sapwood.lang.ops.operators import COMPARISONS, logical_not, require_index
from sapwood.lang.ops.text_objects import text_data
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Agg, Known, Value, describe

TEXT = ty.Ref(ty.Str())
ALL = (1 << 63) - 1  # the end of a slice that was not given


def objects() -> Any:
    """The library, which a program without text does not load."""
    from sapwood.lang.library import text_object

    return text_object


def is_text(v: Value) -> bool:
    if isinstance(v, Agg):
        return is_character(v)
    return isinstance(v, Var) and v.type == TEXT or isinstance(v, Known) and isinstance(v.value, str)


def from_str(w: Any, x: Var) -> Var:
    """The text of a Python object that is a str."""
    op = heap.words if isinstance(x.type, ty.Ref) else bitcast
    address = w.b.emit1(op, (x,), heap.WORDS)
    found = call(w, objects().text_from_python, address)
    assert isinstance(found, Var)
    return found


def as_text(w: Any, v: Value, function: str, what: str = "argument") -> Var:
    """A value that must be a str, as a reference."""
    if not is_text(v):
        hint = "convert it with str(x)"
        raise BadOperand(w.b.loc, function=function, detail=f"{what} is {describe(v)}, not str", hint=hint)
    return w.b.materialize(v)


def as_index(w: Any, v: Value, default: int, what: str = "a position in a text") -> Value:
    """A position that may be left out."""
    if v == Known(None):
        return w.b.index(default)
    return w.b.materialize(require_index(w.b, v, what))


def call(w: Any, fn: Any, *args: Value) -> Value:
    return w.call_compiled(fn, list(args), {})


# -- methods -------------------------------------------------------------------------------------------

METHODS: dict[str, Callable[..., Value]] = {}
_FOLDED = str | int | bool | tuple | bytes


def fold_method(name: str, s: Value, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value | None:
    """What Python's method gives of constants; None if something is not known, or if Python raises."""
    values = [s, *args, *kwargs.values()]
    if not all(isinstance(v, Known) for v in values):
        return None
    try:
        result = getattr(s.value, name)(*(a.value for a in args), **{k: v.value for k, v in kwargs.items()})  # type: ignore[union-attr]
    except Exception:
        return None
    return Known(result) if isinstance(result, _FOLDED) else None


def method(*names: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Enter a rule(w, name, s, *args): s is the receiver as a reference."""

    def enter(rule: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            METHODS[name] = _method(name, rule)
        return rule

    return enter


def _method(name: str, rule: Callable[..., Value]) -> Callable[..., Value]:
    def apply(w: Any, s: Value, *args: Value, **kwargs: Value) -> Value:
        folded = fold_method(name, s, args, kwargs)
        if folded is not None:
            return folded
        try:
            return rule(w, name, w.b.materialize(s), *args, **kwargs)
        except TypeError as e:
            if "positional argument" not in str(e) and "unexpected keyword" not in str(e):
                raise
            from sapwood.lang.errors import WrongArgumentCount

            problem = "was called with the wrong arguments"
            signature = f"s.{name}(...)"
            raise WrongArgumentCount(w.b.loc, function=f"str.{name}", problem=problem, signature=signature) from None

    apply.__name__ = name
    return apply


@method("find", "rfind", "index", "rindex", "count")
def _search(w: Any, name: str, s: Var, t: Value, start: Value = Known(None), end: Value = Known(None)) -> Value:
    from sapwood.lang.library import text_search

    fn = getattr(text_search, f"text_{name}")
    return call(w, fn, s, as_text(w, t, name), as_index(w, start, 0), as_index(w, end, ALL))


@method("startswith", "endswith")
def _begins(w: Any, name: str, s: Var, t: Value, start: Value = Known(None), end: Value = Known(None)) -> Value:
    from sapwood.lang.library import text_search
    from sapwood.lang.ops.operators import tuple_items

    fn = getattr(text_search, f"text_{name}")
    ends = as_index(w, start, 0), as_index(w, end, ALL)
    several = isinstance(t, Agg) and isinstance(t.type, ty.Tuple) or isinstance(t, Known) and isinstance(t.value, tuple)
    result: Value = Known(False)
    for item in tuple_items(t) if several else (t,):
        found = call(w, fn, s, as_text(w, item, name), *ends)
        result = found if isinstance(result, Known) else w.b.emit1(arith.bor, (result, found), BOOL)
    return result


@method("replace")
def _replace(w: Any, name: str, s: Var, old: Value, new: Value, count: Value = Known(-1)) -> Value:
    from sapwood.lang.library.text_search import text_replace

    return call(w, text_replace, s, as_text(w, old, name), as_text(w, new, name), as_index(w, count, -1))


@method("partition", "rpartition", "removeprefix", "removesuffix")
def _with_text(w: Any, name: str, s: Var, t: Value) -> Value:
    from sapwood.lang.library import text_search

    return call(w, getattr(text_search, f"text_{name}"), s, as_text(w, t, name))


@method("strip", "lstrip", "rstrip")
def _strip(w: Any, name: str, s: Var, chars: Value = Known(None)) -> Value:
    from sapwood.lang.library import text_search

    if chars == Known(None):
        return call(w, getattr(text_search, f"text_{name}"), s)
    return call(w, getattr(text_search, f"text_{name}_chars"), s, as_text(w, chars, name))


@method("ljust", "rjust", "center")
def _justify(w: Any, name: str, s: Var, width: Value, fill: Value = Known(" ")) -> Value:
    from sapwood.lang.library.text_search import CENTER, LEFT, RIGHT, text_justify

    how = {"ljust": LEFT, "rjust": RIGHT, "center": CENTER}[name]
    return call(w, text_justify, s, as_index(w, width, 0), as_text(w, fill, name), w.b.index(how))


@method("zfill")
def _zfill(w: Any, name: str, s: Var, width: Value) -> Value:
    from sapwood.lang.library.text_search import text_zfill

    return call(w, text_zfill, s, as_index(w, width, 0))


@method("expandtabs")
def _expandtabs(w: Any, name: str, s: Var, tabsize: Value = Known(8)) -> Value:
    from sapwood.lang.library.text_search import text_expandtabs

    return call(w, text_expandtabs, s, as_index(w, tabsize, 8))


@method("lower", "upper", "casefold", "title", "capitalize", "swapcase")
def _case(w: Any, name: str, s: Var) -> Value:
    from sapwood.lang.library import text_methods

    return call(w, getattr(text_methods, f"text_{name}"), s)


@method(
    "isalpha", "isalnum", "isdecimal", "isdigit", "isnumeric", "isspace", "isupper", "islower", "istitle", "isascii",
    "isprintable", "isidentifier",
)  # fmt: skip
def _is(w: Any, name: str, s: Var) -> Value:
    from sapwood.lang.library import text_methods

    return call(w, getattr(text_methods, f"text_{name}"), s)


@method("split", "rsplit")
def _split(w: Any, name: str, s: Var, sep: Value = Known(None), maxsplit: Value = Known(-1)) -> Value:
    from sapwood.lang.library import text_split

    limit = as_index(w, maxsplit, -1)
    if sep == Known(None):
        return call(w, text_split.text_words if name == "split" else text_split.text_rwords, s, limit)
    return call(w, getattr(text_split, f"text_{name}"), s, as_text(w, sep, name), limit)


@method("splitlines")
def _splitlines(w: Any, name: str, s: Var, keepends: Value = Known(False)) -> Value:
    from sapwood.lang.library.text_split import text_splitlines
    from sapwood.lang.ops.operators import truth

    return call(w, text_splitlines, s, w.b.materialize(truth(w.b, keepends)))


def _format(w: Any, s: Value, /, *args: Value, **kwargs: Value) -> Value:
    from sapwood.lang.infer.text.templates import format_template

    return format_template(w, s, args, kwargs)


METHODS["format"] = _format


@method("translate")
def _translate(w: Any, name: str, s: Var, table: Value) -> Value:
    from sapwood.lang.infer.text.translation import translate

    return translate(w, s, table)


@builtin(str.maketrans)
def _maketrans(walker: Any, x: Value, y: Value | None = None, z: Value | None = None, /) -> Value:
    from sapwood.lang.infer.text.translation import text_table

    return text_table(walker, x, y, z)


@method("encode")
def _encode(w: Any, name: str, s: Var, *args: Value, **kwargs: Value) -> Value:
    from sapwood.lang.infer.text.bytes_rules import encode

    return encode(w, s, *args, **kwargs)


@method("join")
def _join(w: Any, name: str, s: Var, items: Value) -> Value:
    from sapwood.lang.library.text_split import TEXTS, text_join

    if isinstance(items, Var) and items.type == ty.Ref(TEXTS):
        return call(w, text_join, s, items)
    if isinstance(items, Agg) and isinstance(items.type, ty.Tuple):
        from sapwood.lang.infer.containers.lists import make_list

        if not items.items:
            return Known("")
        return _join(w, name, s, make_list(w, *(as_text(w, i, name, "an item") for i in items.items)))
    if is_iterable(items):  # a generator expression, a dict, ...
        from sapwood.lang.infer.containers.lists import collect

        found = collect(w, items)
        if found.type == ty.Ref(TEXTS):
            return call(w, text_join, s, found)
        if found.type.target.elem.kind == "never":  # type: ignore[union-attr]
            return Known("")
        items = found
    hint = "join takes str; write (str(x) for x in xs)"
    raise BadOperand(w.b.loc, function="join", detail=f"cannot join {describe(items)}", hint=hint)


# -- iteration -----------------------------------------------------------------------------------------


class Characters(Iteration):
    """The characters of a text; the state is the byte where the next one begins."""

    kind = "str_iterator"

    def __init__(self, s: Var) -> None:
        super().__init__()
        self.s = s

    def start(self, w: Any, prefix: str) -> None:
        self.state = [prefix]
        w.vars[prefix] = w.b.index(0)

    def next(self, w: Any, sink: Any) -> Value:
        b, (slot,) = w.b, self.state
        at = w.vars[slot]
        size, _ = sizes_of(w, self.s)
        sink.end_unless(b.emit1(arith.compare, (at, size), BOOL, test="lt"))
        code, after = call(w, objects().text_next, self.s, at).items  # type: ignore[union-attr]
        w.vars[slot] = after
        return character(code)


# -- the rules -----------------------------------------------------------------------------------------


class TextRules(HeapRules):
    methods = METHODS

    def drop(self, target: Any) -> tuple[Any, tuple[Value, ...]]:
        return objects().text_drop, (Var(heap.WORDS),)

    def length(self, w: Any, x: Var) -> Value:
        return sizes_of(w, x)[1]

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        if isinstance(index, Agg) and index.items[:1] == (Known(slice),):
            return slice_text(w, x, index.items[1:])
        return character(call(w, objects().text_item, x, *sizes_of(w, x), as_index(w, index, 0)))

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        from sapwood.lang.library.text_search import text_contains

        return call(w, text_contains, x, as_text(w, item, "in", "the left side"))

    def to_object(self, w: Any, x: Var) -> Var:
        b = w.b
        errors = data_pointer(b, b"surrogatepass")
        return api(b, "PyUnicode_DecodeUTF8", (b.apply(text_data, x), call(w, objects().text_size, x), errors))

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        """A copy of the UTF-8 that CPython keeps with the object; UnicodeEncodeError of a lone surrogate."""
        demand(w, is_of_type(w.b, x, "PyUnicode_Type", exact=False), x, "str")
        return from_str(w, x)

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        if fn is operator.add and is_text(x) and is_text(y):
            return add_texts(w, x, y)
        if fn is operator.mul:
            s, n = (x, y) if is_text(x) else (y, x)
            if isinstance(n, Var | Known) and not is_text(n):
                times = as_index(w, n, 0, "the number of times a text is repeated")
                return call(w, objects().text_repeat, w.b.materialize(s), times)
        if fn in COMPARISONS:
            return compare_texts(w, fn, x, y)
        if fn is operator.mod and is_text(x):
            from sapwood.lang.infer.text.templates import percent

            return percent(w, x, y)
        return None


def slice_text(w: Any, x: Var, parts: tuple[Value, ...]) -> Value:
    start, stop, step = parts
    if step in (Known(None), Known(1)):
        return call(w, objects().text_slice, x, as_index(w, start, 0), as_index(w, stop, ALL))
    has = [Known(v != Known(None)) for v in (start, stop)]
    args = as_index(w, start, 0), as_index(w, stop, 0), as_index(w, step, 1)
    return call(w, objects().text_slice_step, x, *args, *has)


def slice_equal(w: Any, x: Value, index: Value, other: Value) -> Value:
    """x[start:stop] == other, without making the slice."""
    assert isinstance(index, Agg)
    start, stop, _ = index.items[1:]
    ends = as_index(w, start, 0), as_index(w, stop, ALL)
    return call(w, objects().text_slice_equal, w.b.materialize(x), *ends, w.b.materialize(other))


def add_texts(w: Any, x: Value, y: Value) -> Value:
    if x == Known(""):
        return y
    if y == Known(""):
        return x
    return call(w, objects().text_add, w.b.materialize(x), w.b.materialize(y))


def compare_texts(w: Any, fn: Any, x: Value, y: Value) -> Value | None:
    if not is_text(x) or not is_text(y):
        if fn in (operator.eq, operator.ne):
            return Known(fn is operator.ne)  # values of unlike types are not equal
        return None
    p, q = w.b.materialize(x), w.b.materialize(y)
    if fn in (operator.eq, operator.ne):
        same = call(w, objects().text_equal, p, q)
        return logical_not(w.b, same) if fn is operator.ne else same
    order = call(w, objects().text_compare, p, q)
    return w.b.emit1(arith.compare, (order, w.b.const(0, I64)), BOOL, test=COMPARISONS[fn])


