"""Statements."""

from __future__ import annotations

import ast
import operator
from dataclasses import replace

from sapwood.lang.errors import GlobalAssignment, Loc
from sapwood.lang.front import hir
from sapwood.lang.front.base import LoweringBase
from sapwood.lang.front.expressions import inert
from sapwood.lang.front.memoised import memoised, memoising
from sapwood.lang.front.names import assigned, target_names
from sapwood.lang.front.tables import INPLACE


class StatementMixin(LoweringBase):
    def block(self, nodes: list[ast.stmt]) -> list[hir.Stmt]:
        out: list[hir.Stmt] = []
        for node in nodes:
            out += self.stmt(node)
        return out

    def stmt(self, node: ast.stmt) -> list[hir.Stmt]:
        loc = self.loc(node)
        match node:
            case ast.Pass():
                return []
            case ast.Expr(value=ast.Constant()):
                return []
            case ast.Expr(value=ast.Yield(value=value)):
                return [hir.Yield(loc, hir.Literal(loc, None) if value is None else self.expr(value))]
            case ast.Expr(value=ast.YieldFrom(value=iterable)):
                name = self.temporary()
                body: list[hir.Stmt] = [hir.Yield(loc, hir.Name(loc, name))]
                return [hir.For(loc, name, self.expr(iterable), body, [], (name,))]
            case ast.Expr():
                return [hir.Evaluate(loc, self.expr(node.value))]
            case ast.Assign():
                return self.assign(node.targets, node.value, loc)
            case ast.AnnAssign():
                if node.value is None:
                    return []
                if not isinstance(node.target, ast.Name):
                    return self.assign([node.target], node.value, loc)
                value = self.expr(node.value)
                return [hir.Assign(loc, node.target.id, value, self.annotation(node.annotation))]
            case ast.AugAssign():
                return self.augmented(node, loc)
            case ast.Delete():
                return [s for target in node.targets for s in self.delete(target)]
            case ast.If():
                return self.branch(node, loc)
            case ast.While():
                return self.while_loop(node, loc)
            case ast.For():
                iterable = self.iterable(node.iter)
                target, extra = self.target(node.target)
                body, other = extra + self.block(node.body), self.block(node.orelse)
                names = tuple(sorted(assigned(body) | target_names(target)))
                return [hir.For(loc, target, iterable, body, other, names)]
            case ast.Match():
                return self.match(node)
            case ast.Try():
                handlers = [self.handler(h) for h in node.handlers]
                other, final = self.block(node.orelse), self.block(node.finalbody)
                return [hir.Try(loc, self.block(node.body), handlers, other, final)]
            case ast.With():
                return self.with_items(node.items, node.body, loc)
            case ast.Return():
                return [hir.Return(loc, None if node.value is None else self.expr(node.value))]
            case ast.Break():
                return [hir.Break(loc)]
            case ast.Continue():
                return [hir.Continue(loc)]
            case ast.Raise():
                exception = None if node.exc is None else self.expr(node.exc)
                return [hir.Raise(loc, exception, None if node.cause is None else self.expr(node.cause))]
            case ast.Assert():
                message = () if node.msg is None else (self.expr(node.msg),)
                failure = hir.Call(loc, hir.Literal(loc, AssertionError), message)
                test = hir.Call(loc, hir.Literal(loc, operator.not_), (self.expr(node.test),))
                return [hir.If(loc, test, [hir.Raise(self.loc(node.test), failure)], [])]
            case ast.FunctionDef():
                if len(node.decorator_list) == 1 and memoising(node.decorator_list[0], self.scope):
                    return self.memoised(node)
                if node.decorator_list:
                    raise self.refuse(node.decorator_list[0], "a decorator on a nested function", "remove it")
                return [hir.Define(loc, node.name, self.function(node, node.name))]
            case ast.Import() | ast.ImportFrom():
                return self.imports(node, loc)
            case ast.Nonlocal():
                return [hir.Nonlocal(loc, tuple(node.names))]
            case ast.Global():
                raise GlobalAssignment(loc, name=node.names[0], scope="global")
        raise self.refuse(node)

    def memoised(self, node: ast.FunctionDef) -> list[hir.Stmt]:
        star = node.args.vararg
        if star is not None:
            hint = "name each parameter"
            raise self.refuse(star, "a cache of a function with *args", hint)
        if any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)):
            raise self.refuse(node.decorator_list[0], "a cache of a generator function", "remove it, or return a list")
        return self.block(memoised(node))

    def imports(self, node: ast.Import | ast.ImportFrom, loc: Loc) -> list[hir.Stmt]:
        """Modules are known at compile time: the names are constants, as those of the module around."""
        out: list[hir.Stmt] = []
        for alias in node.names:
            if isinstance(node, ast.Import):
                module, name = alias.name, None
                if alias.asname is None:  # `import a.b` names a
                    module = module.partition(".")[0]
            elif node.level or alias.name == "*":
                raise self.refuse(node, "a relative import or `import *` inside a function", "import it at the top")
            else:
                module, name = node.module or "", alias.name
            value = self.call(node, hir.import_module, hir.Literal(loc, module), hir.Literal(loc, name))
            if isinstance(node, ast.Import) and module != alias.name and alias.asname is None:
                whole = self.call(node, hir.import_module, hir.Literal(loc, alias.name), hir.Literal(loc, None))
                out.append(hir.Evaluate(loc, whole))
            out.append(hir.Assign(loc, alias.asname or alias.name.partition(".")[0], value))
        return out

    def handler(self, node: ast.ExceptHandler) -> hir.Handler:
        kind = None if node.type is None else self.expr(node.type)
        loc = self.loc(node)
        end = len("except") if node.type is None else self.loc(node.type).end_col - loc.col
        head = replace(loc, end_line=loc.line, end_col=loc.col + end)
        return hir.Handler(head, kind, node.name, self.block(node.body))

    def with_items(self, items: list[ast.withitem], body: list[ast.stmt], loc: Loc) -> list[hir.Stmt]:
        if not items:
            return self.block(body)
        first, rest = items[0], items[1:]
        context = self.expr(first.context_expr)
        target, extra = (None, []) if first.optional_vars is None else self.target(first.optional_vars)
        return [hir.With(loc, context, target, extra + self.with_items(rest, body, loc))]

    # -- assignment -------------------------------------------------------------------------------

    def assign(self, targets: list[ast.expr], value: ast.expr, loc: Loc) -> list[hir.Stmt]:
        expr = self.expr(value)
        if len(targets) == 1:
            return self.assign_one(targets[0], expr, loc)
        name = self.temporary()
        out: list[hir.Stmt] = [hir.Assign(loc, name, expr)]
        for t in targets:
            out += self.assign_one(t, hir.Name(loc, name), loc)
        return out

    def assign_one(self, target: ast.expr, value: hir.Expr, loc: Loc) -> list[hir.Stmt]:
        place = self.loc(target)
        match target:
            case ast.Subscript():
                return [self.store(place, operator.setitem, self.expr(target.value), self.index(target.slice), value)]
            case ast.Attribute():
                attribute = hir.Literal(place, target.attr)
                return [self.store(place, setattr, self.expr(target.value), attribute, value)]
        names, extra = self.target(target)
        return [hir.Assign(loc, names, value), *extra]

    def store(self, place: Loc, fn: object, base: hir.Expr, key: hir.Expr, value: hir.Expr) -> hir.Stmt:
        """`base[key] = value`; Python evaluates the value first."""
        literal = hir.Literal(place, fn)
        if isinstance(value, hir.Literal) or inert(base) and inert(key):
            return hir.Evaluate(place, hir.Call(place, literal, (base, key, value)))
        name = self.temporary()
        call = hir.Call(place, literal, (base, key, hir.Name(value.loc, name)))
        return hir.Evaluate(place, hir.Bind(place, name, value, call))

    def target(self, node: ast.expr) -> tuple[hir.Target, list[hir.Stmt]]:
        """Names to bind, and statements that store into places which are not names."""
        match node:
            case ast.Name():
                return node.id, []
            case ast.Starred(value=ast.Name(id=name)):
                return hir.StarTarget(name), []
            case ast.Starred():
                inner, extra = self.target(node.value)
                if isinstance(inner, str):
                    return hir.StarTarget(inner), extra
                name = self.temporary()
                return hir.StarTarget(name), [hir.Assign(self.loc(node), inner, hir.Name(self.loc(node), name)), *extra]
            case ast.Tuple() | ast.List():
                return self.targets(node.elts)
            case ast.Subscript() | ast.Attribute():
                name = self.temporary()
                loc = self.loc(node)
                return name, self.assign_one(node, hir.Name(loc, name), loc)
        raise self.refuse(node)

    def targets(self, nodes: list[ast.expr]) -> tuple[hir.Target, list[hir.Stmt]]:
        parts = [self.target(item) for item in nodes]
        if not any(extra for _, extra in parts):
            return tuple(t for t, _ in parts), []
        # Python stores from left to right, and a place may depend on a name that is assigned before or after it
        out: list[hir.Target] = []
        stores: list[hir.Stmt] = []
        for node, (t, extra) in zip(nodes, parts, strict=True):
            loc = self.loc(node)
            if isinstance(t, str) and t[0] != "$":
                name = self.temporary()
                stores.append(hir.Assign(loc, t, hir.Name(loc, name)))
                t = name
            elif isinstance(t, hir.StarTarget) and t.target[0] != "$":
                name = self.temporary()
                stores.append(hir.Assign(loc, t.target, hir.Name(loc, name)))
                t = hir.StarTarget(name)
            out.append(t)
            stores += extra
        return tuple(out), stores

    def augmented(self, node: ast.AugAssign, loc: Loc) -> list[hir.Stmt]:
        op = hir.Literal(loc, INPLACE[type(node.op)])
        value = self.expr(node.value)
        match node.target:
            case ast.Name(id=name):
                return [hir.Assign(loc, name, hir.Call(loc, op, (hir.Name(loc, name), value)))]
            case ast.Subscript(value=base, slice=index):
                b, i = self.temporary(), self.temporary()
                place = self.loc(node.target)
                base_name, index_name = hir.Name(place, b), hir.Name(place, i)
                old = hir.Call(place, hir.Literal(place, operator.getitem), (base_name, index_name))
                new = hir.Call(loc, op, (old, value))
                store = hir.Call(place, hir.Literal(place, operator.setitem), (base_name, index_name, new))
                return [
                    hir.Assign(place, b, self.expr(base)),
                    hir.Assign(place, i, self.index(index)),
                    hir.Evaluate(loc, store),
                ]
            case ast.Attribute(value=base, attr=attr):
                b = self.temporary()
                place = self.loc(node.target)
                base_name, field = hir.Name(place, b), hir.Literal(place, attr)
                old = hir.Call(place, hir.Literal(place, getattr), (base_name, field))
                new = hir.Call(loc, op, (old, value))
                store = hir.Call(place, hir.Literal(place, setattr), (base_name, field, new))
                return [hir.Assign(place, b, self.expr(base)), hir.Evaluate(loc, store)]
        raise self.refuse(node.target)

    def delete(self, target: ast.expr) -> list[hir.Stmt]:
        loc = self.loc(target)
        match target:
            case ast.Name(id=name):
                return [hir.Delete(loc, name)]
            case ast.Tuple() | ast.List():
                return [s for item in target.elts for s in self.delete(item)]
            case ast.Subscript():
                call = self.call(target, operator.delitem, self.expr(target.value), self.index(target.slice))
                return [hir.Evaluate(loc, call)]
            case ast.Attribute():
                call = self.call(target, delattr, self.expr(target.value), hir.Literal(loc, target.attr))
                return [hir.Evaluate(loc, call)]
        raise self.refuse(target, "del of this")

    # -- conditions -------------------------------------------------------------------------------

    def branch(self, node: ast.If, loc: Loc) -> list[hir.Stmt]:
        if not _assigns_in_part(node.test):
            return [hir.If(loc, self.expr(node.test), self.block(node.body), self.block(node.orelse))]
        end, no = self.temporary(), self.temporary()
        then = [*self.unless(node.test, no), *self.block(node.body), hir.Leave(loc, end)]
        return [hir.Block(loc, end, [hir.Block(loc, no, then), *self.block(node.orelse)])]

    def while_loop(self, node: ast.While, loc: Loc) -> list[hir.Stmt]:
        if not _assigns_in_part(node.test):
            test = self.expr(node.test)
            body, other = self.block(node.body), self.block(node.orelse)
            return [hir.While(loc, test, body, other, tuple(sorted(assigned([test, *body]))))]
        end, no = self.temporary(), self.temporary()
        body = [*self.unless(node.test, no), *self.block(node.body)]
        loop = hir.While(loc, hir.Literal(loc, True), body, [], tuple(sorted(assigned(body))))
        return [hir.Block(loc, end, [hir.Block(loc, no, [loop, hir.Leave(loc, end)]), *self.block(node.orelse)])]

    def unless(self, test: ast.expr, label: str) -> list[hir.Stmt]:
        """Leave `label` unless the condition holds. What `:=` in it assigns is there where it held."""
        loc = self.loc(test)
        match test:
            case ast.BoolOp(op=ast.And()):
                return [s for value in test.values for s in self.unless(value, label)]
            case ast.BoolOp(op=ast.Or()):
                yes = self.temporary()
                first = [s for value in test.values[:-1] for s in self.when(value, yes)]
                return [hir.Block(loc, yes, [*first, *self.unless(test.values[-1], label)])]
            case ast.UnaryOp(op=ast.Not()):
                return self.when(test.operand, label)
        return [hir.If(loc, self.expr(test), [], [hir.Leave(loc, label)])]

    def when(self, test: ast.expr, label: str) -> list[hir.Stmt]:
        """Leave `label` if the condition holds."""
        loc = self.loc(test)
        match test:
            case ast.BoolOp(op=ast.Or()):
                return [s for value in test.values for s in self.when(value, label)]
            case ast.BoolOp(op=ast.And()):
                no = self.temporary()
                return [hir.Block(loc, no, [*self.unless(test, no), hir.Leave(loc, label)])]
            case ast.UnaryOp(op=ast.Not()):
                return self.unless(test.operand, label)
        return [hir.If(loc, self.expr(test), [hir.Leave(loc, label)], [])]


def _assigns_in_part(test: ast.expr) -> bool:
    """Whether `:=` stands in a part of `and`, `or`, `not` that may not be evaluated."""
    if not isinstance(test, ast.BoolOp | ast.UnaryOp):
        return False
    return any(isinstance(n, ast.NamedExpr) for n in ast.walk(test))
