"""Expressions."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable

from sapwood.lang.api.comptime import comptime
from sapwood.lang.errors import Loc
from sapwood.lang.front import hir
from sapwood.lang.front.base import LoweringBase
from sapwood.lang.front.tables import BINARY, COMPARE, UNARY

_CONVERSIONS = {-1: "", ord("s"): "s", ord("r"): "r", ord("a"): "a"}
_INERT = {operator.add, operator.sub, operator.mul, operator.neg, hir.make_tuple, slice}


def inert(e: hir.Expr) -> bool:
    """Whether evaluating it earlier or later makes no difference: it calls nothing and assigns nothing."""
    if isinstance(e, hir.Call):
        return isinstance(e.callee, hir.Literal) and e.callee.value in _INERT and all(map(inert, e.args))
    return isinstance(e, hir.Literal | hir.Name)


def steady(e: hir.Expr) -> bool:
    """Whether no container changes while it is evaluated: it calls no function and no method."""
    match e:
        case hir.Literal() | hir.Name():
            return True
        case hir.Starred():
            return steady(e.value)
        case hir.IfExp():
            return steady(e.test) and steady(e.then) and steady(e.other)
        case hir.Call():
            return isinstance(e.callee, hir.Literal) and all(map(steady, e.args))
    return False


class ExpressionMixin(LoweringBase):
    def expr(self, node: ast.expr) -> hir.Expr:
        loc = self.loc(node)
        match node:
            case ast.Constant():
                return hir.Literal(loc, node.value)
            case ast.Name():
                return hir.Name(loc, node.id)
            case ast.BinOp():
                return self.call(node, BINARY[type(node.op)], self.expr(node.left), self.expr(node.right))
            case ast.UnaryOp():
                return self.call(node, UNARY[type(node.op)], self.expr(node.operand))
            case ast.BoolOp():
                return self.boolean(node.op, [self.expr(v) for v in node.values], loc)
            case ast.Compare():
                return self.compare(node, loc)
            case ast.IfExp():
                return hir.IfExp(loc, self.expr(node.test), self.expr(node.body), self.expr(node.orelse))
            case ast.Attribute():
                return self.call(node, getattr, self.expr(node.value), hir.Literal(loc, node.attr))
            case ast.Subscript():
                return self.call(node, operator.getitem, self.expr(node.value), self.index(node.slice))
            case ast.Tuple():
                return self.call(node, hir.make_tuple, *self.items(node.elts))
            case ast.List():
                return self.call(node, hir.make_list, *self.items(node.elts))
            case ast.Set():
                return self.call(node, hir.make_set, *self.items(node.elts))
            case ast.Dict():
                pairs = self.taken(map(self.pair, node.keys, node.values), hir.make_dict)
                return self.call(node, hir.make_dict, *pairs)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return self.comprehension(node)
            case ast.JoinedStr():
                return self.call(node, hir.join_string, *map(self.part, node.values))
            case ast.NamedExpr():
                assert isinstance(node.target, ast.Name)
                return hir.NamedExpr(loc, node.target.id, self.expr(node.value))
            case ast.Lambda():
                return hir.Lambda(loc, self.function(node, "<lambda>"))
            case ast.Call() if self.is_comptime(node.func) and len(node.args) == 1 and not node.keywords:
                names = frozenset(n.id for n in ast.walk(node.args[0]) if isinstance(n, ast.Name))
                return hir.Python(loc, node.args[0], names)
            case ast.Call(
                func=ast.Name(id="int" | "float"), keywords=[],
                args=[ast.BoolOp(op=ast.Or(), values=[first, ast.Constant(value=other)])],
            ) if isinstance(other, int | float):
                return self.number_or(node, first, other)
            case ast.Call():
                function = self.expr(node.func)
                keywords = tuple((k.arg, self.expr(k.value)) for k in node.keywords)
                args = self.taken(map(self.item, node.args), hir.taken, all(steady(v) for _, v in keywords))
                return hir.Call(loc, function, tuple(args), keywords)
        raise self.refuse(node)

    def is_comptime(self, callee: ast.expr) -> bool:
        """Whether a name leads to sapwood.comptime, whose argument is not compiled but run by Python."""
        match callee:
            case ast.Name():
                return self.scope.get(callee.id) is comptime
            case ast.Attribute(value=ast.Name(id=module)):
                return callee.attr == "comptime" and getattr(self.scope.get(module), "__name__", "") == "sapwood"
        return False

    def item(self, node: ast.expr) -> hir.Expr:
        """An item of a display or an argument, perhaps starred."""
        if isinstance(node, ast.Starred):
            return hir.Starred(self.loc(node), self.expr(node.value))
        return self.expr(node)

    def items(self, nodes: list[ast.expr]) -> list[hir.Expr]:
        return self.taken(map(self.item, nodes), hir.taken)

    def taken(self, items: Iterable[hir.Expr], copy: hir.Marker, calm: bool = True) -> list[hir.Expr]:
        """Items of a display, or arguments. What a starred one gives is taken before those behind it are evaluated, and
        what follows them, which changes nothing if it is `calm`."""
        out = list(items)
        for i, item in enumerate(out):
            if isinstance(item, hir.Starred) and not (calm and all(map(steady, out[i + 1 :]))):
                whole = item if copy is hir.make_dict else item.value
                out[i] = hir.Starred(item.loc, hir.Call(item.loc, hir.Literal(item.loc, copy), (whole,)))
        return out

    def pair(self, key: ast.expr | None, value: ast.expr) -> hir.Expr:
        if key is None:
            return hir.Starred(self.loc(value), self.expr(value))
        return self.call(value, hir.make_tuple, self.expr(key), self.expr(value))

    def part(self, node: ast.expr) -> hir.Expr:
        """A part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return self.expr(node)
        loc = self.loc(node)
        conversion = hir.Literal(loc, _CONVERSIONS[node.conversion])
        spec = hir.Literal(loc, "") if node.format_spec is None else self.expr(node.format_spec)
        return self.call(node, hir.format_value, self.expr(node.value), conversion, spec)

    def index(self, node: ast.expr) -> hir.Expr:
        if isinstance(node, ast.Tuple):
            return self.call(node, hir.make_tuple, *map(self.index, node.elts))
        if isinstance(node, ast.Slice):
            none = hir.Literal(self.loc(node), None)
            parts = (none if p is None else self.expr(p) for p in (node.lower, node.upper, node.step))
            return self.call(node, slice, *parts)
        return self.item(node)

    def boolean(self, op: ast.boolop, values: list[hir.Expr], loc: Loc) -> hir.Expr:
        first, rest = values[0], values[1:]
        if not rest:
            return first
        other = self.boolean(op, rest, loc)
        name = self.temporary()
        ref = hir.Name(first.loc, name)
        if isinstance(op, ast.And):
            return hir.Bind(loc, name, first, hir.IfExp(loc, ref, other, ref))
        return hir.Bind(loc, name, first, hir.IfExp(loc, ref, ref, other))

    def number_or(self, node: ast.Call, first: ast.expr, other: float) -> hir.Expr:
        """`int(text or 0)`: each side is converted on its own, for they need not be of one type."""
        loc, place, name = self.loc(node), self.loc(first), self.temporary()
        ref = hir.Name(place, name)
        found, constant = (hir.Call(loc, self.expr(node.func), (x,)) for x in (ref, hir.Literal(place, other)))
        return hir.Bind(loc, name, self.expr(first), hir.IfExp(loc, ref, found, constant))

    def compare(self, node: ast.Compare, loc: Loc) -> hir.Expr:
        """Every operand is evaluated once, from left to right, as far as the comparisons go."""
        return self._compare(node.ops, self.expr(node.left), node.comparators, loc)

    def _compare(self, ops: list[ast.cmpop], left: hir.Expr, others: list[ast.expr], loc: Loc) -> hir.Expr:
        right = self.expr(others[0])
        if len(ops) == 1:
            return self._test(ops[0], left, right, loc)

        def rest(x: hir.Expr, y: hir.Expr) -> hir.Expr:
            return self._and(self._test(ops[0], x, y, loc), self._compare(ops[1:], y, others[1:], loc), loc)

        return self.once(left, right, lambda x: self.once(right, None, lambda y: rest(x, y)))

    def _and(self, test: hir.Expr, other: hir.Expr, loc: Loc) -> hir.Expr:
        return hir.IfExp(loc, test, other, hir.Literal(loc, False))

    def _test(self, op: ast.cmpop, left: hir.Expr, right: hir.Expr, loc: Loc) -> hir.Expr:
        if not isinstance(op, ast.In | ast.NotIn):
            return hir.Call(loc, hir.Literal(loc, COMPARE[type(op)]), (left, right))

        def contains(item: hir.Expr) -> hir.Expr:  # the container comes first, but is evaluated second
            found = hir.Call(loc, hir.Literal(loc, operator.contains), (right, item))
            return hir.Call(loc, hir.Literal(loc, operator.not_), (found,)) if isinstance(op, ast.NotIn) else found

        return self.once(left, right, contains)

    def once(self, value: hir.Expr, before: hir.Expr | None, body: Callable[[hir.Expr], hir.Expr]) -> hir.Expr:
        """`body` of a value that is evaluated once, and before `before`."""
        plain = hir.Literal if before is not None and not inert(before) else hir.Literal | hir.Name
        if isinstance(value, plain) or before is not None and inert(value) and inert(before):
            return body(value)
        name = self.temporary()
        return hir.Bind(value.loc, name, value, body(hir.Name(value.loc, name)))
