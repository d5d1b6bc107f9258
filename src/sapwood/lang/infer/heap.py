"""What heap objects can do: one `HeapRules` for each kind of object, found by the type of a reference."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand, NotIndexable
from sapwood.lang.errors.hints import unchangeable_hint
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops import arith
from sapwood.lang.types import BOOL, I64
from sapwood.lang.values import Known, Value, describe


class Dead(Exception):
    """Control does not get past the expression that is being walked; what it emitted ends in a `raise`."""


class HeapRules:
    """What inference asks of a kind of heap object. `x` is a reference that is not None."""

    methods: ClassVar[dict[str, Any]] = {}  # name -> rule(w, receiver, *args, **kwargs)

    def drop(self, target: Any) -> tuple[Any, tuple[Value, ...]]:
        """The library function that ends such an object, and its arguments: first the words of the object.

        It releases what the object holds and gives its memory back.
        """
        raise NotImplementedError

    def attribute(self, w: Any, x: Var, name: str) -> Value | None:
        from sapwood.lang.infer.objects import bound

        return bound(self.methods, name, x)

    def length(self, w: Any, x: Var) -> Value:
        raise BadOperand(w.b.loc, function="len", detail=f"{describe(x)} has no length", hint="count in a loop")

    def truth(self, w: Any, x: Var) -> Known | Var:
        """Python's `bool(x)`."""
        n = w.b.materialize(self.length(w, x))
        return w.b.emit1(arith.compare, (n, w.b.const(0, I64)), BOOL, test="ne")

    def get_item(self, w: Any, x: Var, index: Value) -> Value:
        raise NotIndexable(w.b.loc, type=describe(x), detail="", hint="lists, tuples, tensors and text can be")

    def set_item(self, w: Any, x: Var, index: Value, value: Value) -> None:
        raise NotIndexable(w.b.loc, type=describe(x), detail=" for assignment", hint=unchangeable_hint(describe(x)))

    def del_item(self, w: Any, x: Var, index: Value) -> None:
        raise NotIndexable(w.b.loc, type=describe(x), detail=" for deletion", hint="make a new one")

    def contains(self, w: Any, x: Var, item: Value) -> Value | None:
        """`item in x`; None: look at all that iteration gives."""
        return None

    def hashable(self, x: Var) -> bool:
        """Whether it can be a key."""
        return False

    def hash(self, w: Any, x: Var) -> Value | None:
        """Python's hash(x); None: it has none."""
        return None

    def set_attribute(self, w: Any, x: Var, name: str, value: Value) -> bool:
        """`x.name = value`; False if it has no such attribute."""
        return False

    def call(self, w: Any, x: Var, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
        """`x(...)`; None when it cannot be called."""
        return None

    def context_method(self, x: Var, name: str) -> Value | None:
        """`__enter__` and `__exit__`, as a library function bound to x."""
        return None

    def unary(self, w: Any, fn: Any, x: Var) -> Value | None:
        return None

    def inplace(self, w: Any, fn: Any, x: Var, y: Value) -> Value | None:
        """`x += y` (operator.iadd) and so on, if it changes x itself; None: as `x = x + y`."""
        return None

    def to_object(self, w: Any, x: Var) -> Var:
        """A Python object with the same contents."""
        raise BadOperand(w.b.loc, function="object", detail=f"{describe(x)} cannot become one", hint="pass its parts")

    def from_object(self, w: Any, x: Var, target: Any) -> Var:
        """A new object of the heap type `target` with the contents of the Python object x; raises TypeError."""
        raise BadOperand(w.b.loc, function="object", detail=f"it cannot become {target}", hint="convert its parts")

    def text(self, w: Any, x: Var, how: str) -> list[Value] | None:
        """The pieces of str(x), repr(x) or ascii(x) (`how`) for infer/text/formatting.py; None: it has none."""
        return None

    def binary(self, w: Any, fn: Any, x: Value, y: Value) -> Value | None:
        """An operator (of the module `operator`) with such an object on one side; None when it has none."""
        return None



_MODULES: dict[type, tuple[str, str]] = {  # loaded when a program first has such an object
    ty.List: ("sapwood.lang.infer.containers.lists", "ListRules"),
    ty.TupleOf: ("sapwood.lang.infer.containers.tuple_rows", "TupleOfRules"),
    ty.Dict: ("sapwood.lang.infer.containers.dicts", "DictRules"),
    ty.Set: ("sapwood.lang.infer.containers.sets", "SetRules"),
    ty.Counter: ("sapwood.lang.infer.containers.counters", "CounterRules"),
    ty.Deque: ("sapwood.lang.infer.containers.deques", "DequeRules"),
    ty.Object: ("sapwood.lang.infer.python_objects", "ObjectRules"),
    ty.HeapStruct: ("sapwood.lang.infer.classes.heap_structs", "HeapStructRules"),
    ty.Str: ("sapwood.lang.infer.text.strings", "TextRules"),
    ty.Bytes: ("sapwood.lang.infer.text.bytes_rules", "BytesRules"),
    ty.ByteArray: ("sapwood.lang.infer.text.bytes_rules", "ByteArrayRules"),
    ty.MemoryView: ("sapwood.lang.infer.text.memory_views", "MemoryViewRules"),
    ty.PythonBuffer: ("sapwood.lang.infer.text.memory_views", "PythonBufferRules"),
}
_RULES: dict[type, HeapRules] = {}


def rules_of(x: Any) -> HeapRules:
    """The rules for a reference (a Var) or a heap type."""
    kind = type(x.type.target if isinstance(x, Var) else x)
    if kind not in _RULES:
        module, name = _MODULES[kind]
        _RULES[kind] = getattr(import_module(module), name)()
    return _RULES[kind]


def drop_rule(target: ty.HeapType) -> tuple[Any, tuple[Value, ...]]:
    return rules_of(target).drop(target)


def is_reference(x: Any) -> bool:
    return isinstance(x, Var) and isinstance(x.type, ty.Ref)


def require_some(w: Any, x: Value, exception: type[BaseException], message: str) -> Value:
    """An optional value as what it holds; raises what Python raises of None."""
    from sapwood.lang.infer.narrow import is_none, is_optional, some

    if not is_optional(x):
        return x
    w.b.raise_if(w.b.materialize(is_none(w.b, x)), exception, message.replace("{", "{{").replace("}", "}}"))
    return some(w.b, x)
