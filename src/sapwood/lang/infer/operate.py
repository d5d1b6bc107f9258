"""Operators, attributes, indexing and displays: what the calls mean that the front end makes of them."""

from __future__ import annotations

import builtins
import operator
from enum import EnumMeta
from typing import TYPE_CHECKING, Any

from sapwood.lang import types as ty
from sapwood.lang.errors import ImmutableField, Loc
from sapwood.lang.errors.iteration import NotIterable
from sapwood.lang.front import hir
from sapwood.lang.infer.classes.enums import class_of, member_operator
from sapwood.lang.infer.classes.enums import contains as flag_contains
from sapwood.lang.infer.classes.enums import method as enum_method
from sapwood.lang.infer.classes.struct_operators import operator_method
from sapwood.lang.infer.classes.structs import find_method, is_struct_value, lift
from sapwood.lang.infer.containers.dict_views import in_view, view_operator
from sapwood.lang.infer.equality import is_tuple, unlike_equality
from sapwood.lang.infer.heap import is_reference, require_some, rules_of
from sapwood.lang.infer.iteration.generators import begin
from sapwood.lang.infer.iteration.ranges import range_contains
from sapwood.lang.infer.iteration.reductions import found_in
from sapwood.lang.infer.missing import present_operands
from sapwood.lang.infer.objects import get_attribute, get_item, set_attribute, set_item
from sapwood.lang.infer.text.characters import is_character, is_one_of, plain
from sapwood.lang.ir.ssa import Var
from sapwood.lang.ops.operators import COMPARISONS, METHODS, binary, logical_or, truth, tuple_items, unary
from sapwood.lang.values import Agg, Known, Unbound, Value, describe, make_tuple

if TYPE_CHECKING:
    from sapwood.lang.infer.builder import Builder
    from sapwood.lang.infer.walker import FunctionWalker

_INPLACE = {
    operator.iadd: (operator.add, "__iadd__"),
    operator.isub: (operator.sub, "__isub__"),
    operator.imul: (operator.mul, "__imul__"),
    operator.itruediv: (operator.truediv, "__itruediv__"),
    operator.ifloordiv: (operator.floordiv, "__ifloordiv__"),
    operator.imod: (operator.mod, "__imod__"),
    operator.ipow: (operator.pow, "__ipow__"),
    operator.ilshift: (operator.lshift, "__ilshift__"),
    operator.irshift: (operator.rshift, "__irshift__"),
    operator.iand: (operator.and_, "__iand__"),
    operator.ior: (operator.or_, "__ior__"),
    operator.ixor: (operator.xor, "__ixor__"),
    operator.imatmul: (operator.matmul, "__imatmul__"),
}
UNARY = {operator.neg: "__neg__", operator.pos: "__pos__", operator.invert: "__invert__"}

OPERATORS = {
    *_INPLACE, *METHODS, *UNARY, operator.is_, operator.is_not, operator.not_, operator.getitem, operator.setitem,
    operator.contains, operator.delitem,
}  # fmt: skip

CHARACTERS_WELCOME = {  # what knows values of type Character; all others get a str
    *COMPARISONS, operator.contains, operator.not_, operator.is_, operator.is_not, hir.make_tuple, hir.match_value,
    getattr, builtins.ord, builtins.len, builtins.bool,
}  # fmt: skip


class OperatorMixin:
    """The operators of a FunctionWalker."""

    if TYPE_CHECKING:
        b: Builder

        def call(self, target: Value, args: list[Value], kwargs: dict[str, Value], loc: Loc) -> Value: ...

    def apply_operator(self, callee: Any, args: list[Value], loc: Loc) -> Value:
        """The call of an operator or marker of the front end."""
        if callee not in CHARACTERS_WELCOME:
            args = [plain(self.b, a) for a in args]
        if callee in _INPLACE:
            fn, method = _INPLACE[callee]
            found = self.method_of(args[0], method)
            if found is not None:
                return self.call(found, args[1:], {}, loc)
            if not any(map(is_struct_value, args)):
                args = list(present_operands(self, callee, *args))
            if is_reference(args[0]):
                result = rules_of(args[0]).inplace(self, callee, args[0], args[1])
                if result is not None:
                    return result
            callee = fn
        if callee in METHODS:
            return self.operate(callee, args[0], args[1])
        if callee in (operator.is_, operator.is_not):
            return binary(self.b, callee, args[0], args[1])
        if callee in UNARY:
            if not is_struct_value(args[0]):
                args = list(present_operands(self, callee, args[0]))
            if is_reference(args[0]):
                result = rules_of(args[0]).unary(self, callee, args[0])
                if result is not None:
                    return result
            found = self.method_of(args[0], UNARY[callee])
            return unary(self.b, callee, args[0]) if found is None else self.call(found, [], {}, loc)
        if callee is operator.not_:
            return unary(self.b, callee, args[0])
        if callee is hir.make_tuple:
            for a in args:
                if isinstance(a, Agg) and a.items[:1] == (Known(hir.Starred),):
                    hint = "the length of a tuple is known when it is compiled; make a list, for example [*values, 1]"
                    raise NotIterable(loc, type=describe(a.items[1]), hint=hint)
            return begin(self, make_tuple(args))
        if callee is getattr:
            return get_attribute(self, args[0], args[1].value, loc)  # type: ignore[union-attr]
        if callee is operator.getitem:
            found = self.method_of(args[0], "__getitem__")
            return self.call(found, args[1:], {}, loc) if found else get_item(self, args[0], args[1])
        if callee is operator.setitem:
            found = self.method_of(args[0], "__setitem__")
            if found:
                return self.call(found, args[1:], {}, loc)
            set_item(self, args[0], args[1], args[2])
            return Known(None)
        if callee is operator.contains:
            found = self.method_of(args[0], "__contains__")
            if found is None:
                return contains(self, args[0], args[1])
            return truth(self.b, self.call(found, args[1:], {}, loc))
        if callee is operator.delitem:
            found = self.method_of(args[0], "__delitem__")
            if found is None and is_reference(args[0]):
                x = require_some(self, args[0], TypeError, "'NoneType' object does not support item deletion")
                rules_of(x).del_item(self, x, args[1])
                return Known(None)
            if found is None:
                what = f"an item of {describe(args[0])}"
                raise ImmutableField(loc, what=what, hint="only the items of containers can be deleted")
            return self.call(found, args[1:], {}, loc)
        if callee is delattr:
            what = f"attribute '{args[1].value}' of {describe(args[0])}"  # type: ignore[union-attr]
            raise ImmutableField(loc, what=what, hint="the fields of a struct are there as long as it is")
        if callee is setattr:
            set_attribute(self, args[0], args[1].value, args[2])  # type: ignore[union-attr]
            return Known(None)
        if callee is slice:
            return Agg(ty.Tuple(3), (Known(slice), *args))
        return self.call(Known(callee), args, {}, loc)

    def operate(self, fn: Any, x: Value, y: Value) -> Value:
        """A binary operator on anything: the methods of structs first, then what the language supplies."""
        result = None
        if class_of(x) is not None or class_of(y) is not None:
            result = member_operator(self, METHODS[fn], x, y)
        if result is None:
            result = operator_method(self, fn, METHODS[fn], x, y, self.b.loc)
        if result is None:
            result = view_operator(self, fn, x, y)
        if result is None and fn in (operator.eq, operator.ne):
            result = unlike_equality(self, fn, x, y)
        elif result is None:
            x, y = present_operands(self, fn, x, y)
        return binary(self.b, fn, x, y) if result is None else result

    def read(self, value: Value) -> Value:
        """A value that paths have left for this place; raises what is wrong with it."""
        if isinstance(value, Unbound) and value.error is not None:
            raise value.error
        return value

    def method_of(self, value: Value, name: str) -> Value | None:
        """A method that a @struct defines itself; `with` also finds those of a memoryview."""
        if name in ("__enter__", "__exit__") and is_reference(value):
            found = rules_of(value).context_method(value, name)
            if found is not None:
                return found
        found = enum_method(value, name)
        return find_method(lift(self.b, value), name) if found is None else found


def contains(w: FunctionWalker, container: Value, item: Value) -> Value:
    """`item in container`."""
    if is_reference(container):
        item = plain(w.b, item)
        container = require_some(w, container, TypeError, "argument of type 'NoneType' is not iterable")
        found = rules_of(container).contains(w, container, item)
        if found is not None:
            return found
    if is_character(item):
        if isinstance(container, Known) and isinstance(container.value, str):
            found = is_one_of(w.b, item, container.value)
            if found is not None:
                return found
        if not is_character(container) and not is_tuple(container):
            item = w.b.materialize(item)
    match container:
        case Agg(type=ty.Tuple()) | Known(value=tuple()):
            result: Value = Known(False)
            for i in tuple_items(container):
                found = truth(w.b, w.call(Known(hir.match_value), [i, item], {}, w.b.loc))
                result = logical_or(w.b, result, found)
            return result
        case Var(type=ty.Ref()) if (found := rules_of(container).contains(w, container, item)) is not None:
            return found
        case Known(value=str() as text) if isinstance(item, Known) and isinstance(item.value, str):
            return Known(item.value in text)
        case Agg(type=ty.DictView()):
            found = in_view(w, container, item)
            if found is not None:
                return found
        case Known(value=EnumMeta() as cls) if class_of(item) is not None:
            return Known(class_of(item) is cls)
        case _ if class_of(container) is not None and (found := flag_contains(w, container, item)) is not None:
            return found
        case Agg(type=ty.Range()) | Known(value=range()):
            return range_contains(w, container, item)
        case Known(value=str() | bytes()):
            return contains(w, w.b.materialize(container), item)
    return found_in(w, container, item)
