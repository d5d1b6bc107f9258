"""Python `ast` -> HIR: purely syntactic. Every construct outside the language gets its diagnostic here."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sapwood.lang.api.comptime import comptime
from sapwood.lang.errors import GlobalAssignment, LateCapture, Loc, StarArguments, UnsupportedSyntax
from sapwood.lang.front import hir
from sapwood.lang.front.source import FunctionNode, SourceFile, find_function

BINARY: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.MatMult: operator.matmul,
}
INPLACE: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: operator.iadd,
    ast.Sub: operator.isub,
    ast.Mult: operator.imul,
    ast.Div: operator.itruediv,
    ast.FloorDiv: operator.ifloordiv,
    ast.Mod: operator.imod,
    ast.Pow: operator.ipow,
    ast.LShift: operator.ilshift,
    ast.RShift: operator.irshift,
    ast.BitAnd: operator.iand,
    ast.BitOr: operator.ior,
    ast.BitXor: operator.ixor,
    ast.MatMult: operator.imatmul,
}
UNARY: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
COMPARE: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}

# construct -> (what it is called, what to do instead)
REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    ast.Try: ("try/except", "check the condition before, or handle the exception in the caller"),
    ast.TryStar: ("except*", "handle the exception in the caller"),
    ast.With: ("with", "acquire and release outside compiled code"),
    ast.AsyncWith: ("async with", "compiled code runs to the end without awaiting"),
    ast.AsyncFor: ("async for", "compiled code runs to the end without awaiting"),
    ast.AsyncFunctionDef: ("async def", "compiled code runs to the end without awaiting"),
    ast.Await: ("await", "compiled code runs to the end without awaiting"),
    ast.Yield: ("yield", "write the values into a Tensor, or take a function as parameter"),
    ast.YieldFrom: ("yield from", "write the values into a Tensor, or take a function as parameter"),
    ast.ListComp: ("a list comprehension", "use a StackArray or a Tensor and a loop"),
    ast.SetComp: ("a set comprehension", "use a Tensor and a loop"),
    ast.DictComp: ("a dict comprehension", "use a Tensor and a loop"),
    ast.GeneratorExp: ("a generator expression", "use a loop"),
    ast.List: ("a list", "use a tuple, a StackArray or a Tensor"),
    ast.Dict: ("a dict", "use a @struct, or a Tensor"),
    ast.Set: ("a set", "use a tuple or a Tensor"),
    ast.Delete: ("del", "leave the name alone; storage is released when the function returns"),
    ast.Import: ("import inside a function", "import at the top of the module"),
    ast.ImportFrom: ("import inside a function", "import at the top of the module"),
    ast.ClassDef: ("a class inside a function", "define a @struct at the top of the module"),
    ast.Match: ("match", "use if and elif"),
    ast.NamedExpr: ("the := operator", "assign in a statement of its own"),
    ast.JoinedStr: ("an f-string", "pass the parts to print(), or format in the caller"),
    ast.Starred: ("a starred expression", "write the items out"),
}


@lru_cache(maxsize=4096)
def lower_function(fn: Callable[..., Any]) -> hir.FunctionDef:
    """HIR of a Python function object."""
    source, node = find_function(fn)
    scope = getattr(fn, "__globals__", {})
    return _Lowering(source, fn.__qualname__.replace("<locals>.", ""), scope).function(node, fn.__name__)


class _Lowering:
    def __init__(self, source: SourceFile, function: str, scope: dict[str, Any]) -> None:
        self.source = source
        self.scope = scope
        self.qualname = function
        self.temporaries = 0

    def loc(self, node: ast.AST) -> Loc:
        return self.source.loc(node, self.qualname)

    def refuse(self, node: ast.AST, what: str = "", hint: str = "") -> UnsupportedSyntax:
        known = REFUSED.get(type(node), (type(node).__name__.lower(), "see the language reference"))
        return UnsupportedSyntax(self.loc(node), what=what or known[0], hint=hint or known[1])

    def temporary(self) -> str:
        self.temporaries += 1
        return f"${self.temporaries}"

    # -- functions --------------------------------------------------------------------------------

    def function(self, node: FunctionNode, name: str) -> hir.FunctionDef:
        a = node.args
        if a.vararg or a.kwarg:
            extra = a.vararg or a.kwarg
            assert extra is not None
            raise StarArguments(self.loc(extra), what="*args" if a.vararg else "**kwargs", where="function")
        plain = [*a.posonlyargs, *a.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(a.defaults)) + list(a.defaults)
        params = [self.param(p, d) for p, d in zip(plain, defaults, strict=True)]
        params += [self.param(p, d, True) for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
        if isinstance(node, ast.Lambda):
            body: list[hir.Stmt] = [hir.Return(self.loc(node.body), self.expr(node.body))]
            returns, loc = None, self.loc(node)
        else:
            statements = node.body
            if ast.get_docstring(node, clean=False) is not None:
                statements = statements[1:]
            body = self.block(statements)
            returns = self.annotation(node.returns)
            head = self.loc(node)
            width = len("def ") + len(name)
            loc = Loc(head.file, head.line, head.col, head.line, head.col + width, head.function)
        names = {p.name for p in params}
        assigned = _assigned(body) | names
        used = _names_read(body)
        _check_late_captures(body, self)
        return hir.FunctionDef(name, params, body, loc, frozenset(assigned), frozenset(used - assigned), returns)

    def param(self, p: ast.arg, default: ast.expr | None, keyword_only: bool = False) -> hir.Param:
        value = None if default is None else self.expr(default)
        return hir.Param(p.arg, self.loc(p), self.annotation(p.annotation), value, keyword_only)

    def annotation(self, node: ast.expr | None) -> hir.Expr | None:
        """Annotations are evaluated by Python, not compiled: they stay as source text."""
        return None if node is None else hir.Literal(self.loc(node), ast.unparse(node))

    # -- statements -------------------------------------------------------------------------------

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
            case ast.Expr(value=ast.Constant(value=str() | None | ast.Constant())):
                return []
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
            case ast.If():
                return [hir.If(loc, self.expr(node.test), self.block(node.body), self.block(node.orelse))]
            case ast.While():
                body, other = self.block(node.body), self.block(node.orelse)
                names = tuple(sorted(_assigned(body)))
                return [hir.While(loc, self.expr(node.test), body, other, names)]
            case ast.For():
                target, extra = self.target(node.target)
                body, other = extra + self.block(node.body), self.block(node.orelse)
                names = tuple(sorted(_assigned(body) | _target_names(target)))
                return [hir.For(loc, target, self.expr(node.iter), body, other, names)]
            case ast.Return():
                return [hir.Return(loc, None if node.value is None else self.expr(node.value))]
            case ast.Break():
                return [hir.Break(loc)]
            case ast.Continue():
                return [hir.Continue(loc)]
            case ast.Raise():
                if node.exc is None:
                    raise self.refuse(node, "a bare raise", "name the exception: raise ValueError('text')")
                if node.cause is not None:
                    raise self.refuse(node, "raise ... from", "raise the exception without a cause")
                return [hir.Raise(loc, self.expr(node.exc))]
            case ast.Assert():
                test = hir.Call(loc, hir.Literal(loc, operator.not_), (self.expr(node.test),))
                message = () if node.msg is None else (self.expr(node.msg),)
                failure = hir.Call(loc, hir.Literal(loc, AssertionError), message)
                return [hir.If(loc, test, [hir.Raise(self.loc(node.test), failure)], [])]
            case ast.FunctionDef():
                if node.decorator_list:
                    raise self.refuse(node.decorator_list[0], "a decorator on a nested function", "remove it")
                return [hir.Define(loc, node.name, self.function(node, node.name))]
            case ast.Global() | ast.Nonlocal():
                scope = "global" if isinstance(node, ast.Global) else "nonlocal"
                raise GlobalAssignment(loc, name=node.names[0], scope=scope)
        raise self.refuse(node)

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
                args = (self.expr(target.value), self.index(target.slice), value)
                return [hir.Evaluate(place, hir.Call(place, hir.Literal(place, operator.setitem), args))]
            case ast.Attribute():
                args = (self.expr(target.value), hir.Literal(place, target.attr), value)
                return [hir.Evaluate(place, hir.Call(place, hir.Literal(place, setattr), args))]
        names, extra = self.target(target)
        return [hir.Assign(loc, names, value), *extra]

    def target(self, node: ast.expr) -> tuple[hir.Target, list[hir.Stmt]]:
        """Names to bind, and statements that store into places which are not names."""
        match node:
            case ast.Name():
                return node.id, []
            case ast.Tuple() | ast.List():
                names: list[hir.Target] = []
                extra: list[hir.Stmt] = []
                for item in node.elts:
                    n, e = self.target(item)
                    names.append(n)
                    extra += e
                return tuple(names), extra
            case ast.Subscript() | ast.Attribute():
                name = self.temporary()
                loc = self.loc(node)
                return name, self.assign_one(node, hir.Name(loc, name), loc)
        raise self.refuse(node)

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

    # -- expressions ------------------------------------------------------------------------------

    def call(self, node: ast.AST, fn: Callable[..., Any], *args: hir.Expr) -> hir.Call:
        loc = self.loc(node)
        return hir.Call(loc, hir.Literal(loc, fn), args)

    def expr(self, node: ast.expr) -> hir.Expr:
        loc = self.loc(node)
        match node:
            case ast.Constant():
                if isinstance(node.value, complex | bytes) or node.value is ...:
                    what = f"a {type(node.value).__name__} literal"
                    raise self.refuse(node, what, "use two floats, or a Tensor[u8, 1]")
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
                return self.call(node, hir.make_tuple, *map(self.expr, node.elts))
            case ast.List():
                return self.call(node, hir.make_list, *map(self.expr, node.elts))
            case ast.Lambda():
                return hir.Lambda(loc, self.function(node, "<lambda>"))
            case ast.Call() if self.is_comptime(node.func) and len(node.args) == 1 and not node.keywords:
                names = frozenset(n.id for n in ast.walk(node.args[0]) if isinstance(n, ast.Name))
                return hir.Python(loc, node.args[0], names)
            case ast.Call():
                if any(isinstance(a, ast.Starred) for a in node.args) or any(
                    k.arg is None for k in node.keywords
                ):
                    raise StarArguments(loc, what="* or **", where="call")
                kwargs = tuple((k.arg, self.expr(k.value)) for k in node.keywords if k.arg)
                return hir.Call(loc, self.expr(node.func), tuple(map(self.expr, node.args)), kwargs)
        raise self.refuse(node)

    def is_comptime(self, callee: ast.expr) -> bool:
        """Whether a name leads to sapwood.comptime, whose argument is not compiled but run by Python."""
        match callee:
            case ast.Name():
                return self.scope.get(callee.id) is comptime
            case ast.Attribute(value=ast.Name(id=module)):
                return callee.attr == "comptime" and getattr(self.scope.get(module), "__name__", "") == "sapwood"
        return False

    def index(self, node: ast.expr) -> hir.Expr:
        if isinstance(node, ast.Tuple):
            return self.call(node, hir.make_tuple, *map(self.index, node.elts))
        if isinstance(node, ast.Slice):
            none = hir.Literal(self.loc(node), None)
            parts = (none if p is None else self.expr(p) for p in (node.lower, node.upper, node.step))
            return self.call(node, slice, *parts)
        if isinstance(node, ast.Constant) and node.value is ...:
            return hir.Literal(self.loc(node), ...)
        return self.expr(node)

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

    def compare(self, node: ast.Compare, loc: Loc) -> hir.Expr:
        left = self.expr(node.left)
        tests: list[hir.Expr] = []
        binds: list[tuple[str, hir.Expr]] = []
        for i, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
            if type(op) not in COMPARE:
                raise self.refuse(node, "in", "compare with == and combine with or")
            right = self.expr(right_node)
            last = i == len(node.ops) - 1
            if not last:  # the middle operand is evaluated once
                name = self.temporary()
                binds.append((name, right))
                right = hir.Name(right.loc, name)
            tests.append(hir.Call(loc, hir.Literal(loc, COMPARE[type(op)]), (left, right)))
            left = right
        result = tests[-1]
        for test, (name, value) in zip(reversed(tests[:-1]), reversed(binds), strict=True):
            result = hir.Bind(loc, name, value, hir.IfExp(loc, test, result, hir.Literal(loc, False)))
        return result


# -- name analysis ----------------------------------------------------------------------------------


def _target_names(target: hir.Target) -> set[str]:
    if isinstance(target, str):
        return {target}
    return set().union(*map(_target_names, target)) if target else set()


def _assigned(body: list[hir.Stmt]) -> set[str]:
    """Names that the statements assign, not those of nested functions."""
    out: set[str] = set()
    for s in body:
        match s:
            case hir.Assign():
                out |= _target_names(s.target)
            case hir.Define():
                out.add(s.name)
            case hir.If():
                out |= _assigned(s.then) | _assigned(s.other)
            case hir.While() | hir.For():
                out |= set(s.assigned) | _assigned(s.other)
    return out


def _children(node: Any) -> list[Any]:
    match node:
        case hir.Call():
            return [node.callee, *node.args, *(v for _, v in node.kwargs)]
        case hir.IfExp():
            return [node.test, node.then, node.other]
        case hir.Bind():
            return [node.value, node.body]
        case hir.Assign() | hir.Evaluate():
            return [node.value]
        case hir.If():
            return [node.test, *node.then, *node.other]
        case hir.While():
            return [node.test, *node.body, *node.other]
        case hir.For():
            return [node.iterable, *node.body, *node.other]
        case hir.Return():
            return [] if node.value is None else [node.value]
        case hir.Raise():
            return [node.exception]
    return []


def _names_read(nodes: list[Any]) -> set[str]:
    out: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        match node:
            case hir.Name():
                out.add(node.name)
            case hir.Python():
                out |= node.names
            case hir.Lambda() | hir.Define():
                out |= node.function.free
                stack += [p.default for p in node.function.params if p.default is not None]
            case hir.Bind():
                out.discard(node.name)
                stack += _children(node)
            case _:
                stack += _children(node)
    return {n for n in out if not n.startswith("$")}


def _check_late_captures(body: list[hir.Stmt], lowering: _Lowering) -> None:
    """A captured name that is assigned later would mean two things; Python would see the later one."""
    captured: dict[str, Loc] = {}

    def visit(nodes: list[Any]) -> None:
        for node in nodes:
            match node:
                case hir.Assign():
                    visit([node.value])
                    for name in _target_names(node.target) & captured.keys():
                        raise LateCapture(node.loc, (("captured here", captured[name]),), name=name)
                case hir.Lambda():
                    captured.update({n: node.loc for n in node.function.free if n not in captured})
                case hir.Define():
                    captured.pop(node.name, None)
                    for n in node.function.free - {node.name}:
                        captured.setdefault(n, node.function.loc)
                case _:
                    visit(_children(node))

    visit(body)
