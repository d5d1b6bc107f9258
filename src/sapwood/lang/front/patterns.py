"""`match`: patterns become tests that leave the block of their case, then assignments of what they capture."""

from __future__ import annotations

import ast
import operator

from sapwood.lang.errors import Loc
from sapwood.lang.front import hir
from sapwood.lang.front.base import LoweringBase


class PatternMixin(LoweringBase):
    def match(self, node: ast.Match) -> list[hir.Stmt]:
        loc = self.loc(node.subject)
        subject, end = self.temporary(), self.temporary()
        cases: list[hir.Stmt] = []
        truths: set[bool] = set()  # bools that earlier cases have taken
        constants: list[ast.expr] = []
        for case in node.cases:
            self.constants[subject] = constants if case in node.cases[-2:] else []  # the last, or before `case _`
            place = self.loc(case.pattern)
            no = self.temporary()
            captured: dict[str, str] = {}
            match case.pattern:
                case ast.MatchSingleton(value=bool() as truth) if (not truth) in truths:
                    parts = hir.Literal(place, truth), hir.Literal(place, True)
                    body = [self._require(place, hir.match_singleton, no, hir.Name(place, subject), *parts)]
                case _:
                    body = self.pattern(case.pattern, subject, no, captured)
            if isinstance(case.pattern, ast.MatchSingleton) and case.guard is None and case.pattern.value is not None:
                truths.add(case.pattern.value)
            if case.guard is None:
                constants += _names_of_values(case.pattern)
            for name, held in captured.items():  # names are assigned when the whole pattern has matched
                body.append(hir.Assign(place, name, hir.Name(place, held)))
            if case.guard is not None:
                body += self.unless(case.guard, no)
            body += [*self.block(case.body), hir.Leave(place, end)]
            cases.append(hir.Block(place, no, body))
        return [hir.Assign(loc, subject, self.expr(node.subject)), hir.Block(loc, end, cases)]

    def pattern(self, node: ast.pattern, subject: str, no: str, captured: dict[str, str]) -> list[hir.Stmt]:
        """Leave `no` unless the pattern matches; `captured` gets the names that hold what it captures."""
        loc = self.loc(node)
        value = hir.Name(loc, subject)
        match node:
            case ast.MatchValue():
                taken = map(self.expr, self.constants.get(subject, ()))
                return [self._require(loc, hir.match_value, no, value, self.expr(node.value), *taken)]
            case ast.MatchSingleton():
                return [self._require(loc, hir.match_singleton, no, value, hir.Literal(loc, node.value))]
            case ast.MatchAs():
                out = [] if node.pattern is None else self.pattern(node.pattern, subject, no, captured)
                if node.name is not None:
                    captured[node.name] = subject
                return out
            case ast.MatchOr():
                return self._alternatives(node, subject, no, captured)
            case ast.MatchSequence():
                return self._sequence(node, subject, no, captured)
            case ast.MatchMapping():
                return self._mapping(node, subject, no, captured)
            case ast.MatchClass():
                return self._class(node, subject, no, captured)
        raise self.refuse(node)

    def _require(self, loc: Loc, fn: object, no: str, *args: hir.Expr) -> hir.Stmt:
        test = hir.Call(loc, hir.Literal(loc, fn), args)
        return hir.If(loc, test, [], [hir.Leave(loc, no)])

    def _part(
        self, node: ast.pattern, value: hir.Expr, no: str, captured: dict[str, str]
    ) -> list[hir.Stmt]:
        """A pattern inside another: of an item or attribute, which is evaluated once."""
        if isinstance(node, ast.MatchAs) and node.name is None and node.pattern is None:
            return []
        name = self.temporary()
        return [hir.Assign(value.loc, name, value), *self.pattern(node, name, no, captured)]

    def _alternatives(self, node: ast.MatchOr, subject: str, no: str, captured: dict[str, str]) -> list[hir.Stmt]:
        loc = self.loc(node)
        yes = self.temporary()
        shared: dict[str, str] = {}
        body: list[hir.Stmt] = []
        before = self.constants.get(subject, [])
        for i, alternative in enumerate(node.patterns):
            last = i == len(node.patterns) - 1
            next_one = no if last else self.temporary()
            found: dict[str, str] = {}
            others = [v for p in node.patterns[:i] for v in _names_of_values(p)] if last else []
            self.constants[subject] = [*before, *others]
            tests = self.pattern(alternative, subject, next_one, found)
            place = self.loc(alternative)
            for name, held in found.items():
                own = shared.setdefault(name, self.temporary())
                tests.append(hir.Assign(place, own, hir.Name(place, held)))
            body += tests if last else [hir.Block(place, next_one, [*tests, hir.Leave(place, yes)])]
        self.constants[subject] = before
        captured.update(shared)
        return [hir.Block(loc, yes, body, tuple(shared.values()))]

    def _sequence(
        self, node: ast.MatchSequence, subject: str, no: str, captured: dict[str, str]
    ) -> list[hir.Stmt]:
        loc = self.loc(node)
        value = hir.Name(loc, subject)
        out = [self._require(loc, hir.match_sequence, no, value)]
        star = next((i for i, p in enumerate(node.patterns) if isinstance(p, ast.MatchStar)), None)
        count = len(node.patterns) - (star is not None)
        length = hir.Call(loc, hir.Literal(loc, len), (value,))
        test = operator.eq if star is None else operator.ge
        out.append(self._require(loc, test, no, length, hir.Literal(loc, count)))
        for i, part in enumerate(node.patterns):
            place = self.loc(part)
            if isinstance(part, ast.MatchStar):
                if part.name is not None:
                    counts = (hir.Literal(place, i), hir.Literal(place, count - i))
                    captured[part.name] = self.temporary()
                    rest = self.call(part, hir.star_items, hir.Name(place, subject), *counts)
                    out.append(hir.Assign(place, captured[part.name], rest))
                continue
            at = i if star is None or i < star else i - len(node.patterns)
            item = self.call(part, operator.getitem, hir.Name(place, subject), hir.Literal(place, at))
            out += self._part(part, item, no, captured)
        return out

    def _mapping(self, node: ast.MatchMapping, subject: str, no: str, captured: dict[str, str]) -> list[hir.Stmt]:
        loc = self.loc(node)
        value = hir.Name(loc, subject)
        out = [self._require(loc, hir.match_mapping, no, value)]
        keys = [self.expr(k) for k in node.keys]
        for key, part in zip(keys, node.patterns, strict=True):
            out.append(self._require(key.loc, operator.contains, no, value, key))
            out += self._part(part, self.call(part, operator.getitem, value, key), no, captured)
        if node.rest is not None:
            captured[node.rest] = self.temporary()
            out.append(hir.Assign(loc, captured[node.rest], self.call(node, hir.mapping_rest, value, *keys)))
        return out

    def _class(self, node: ast.MatchClass, subject: str, no: str, captured: dict[str, str]) -> list[hir.Stmt]:
        loc = self.loc(node)
        value = hir.Name(loc, subject)
        cls = self.expr(node.cls)
        out = [self._require(loc, hir.match_class, no, value, cls, hir.Literal(loc, len(node.patterns)))]
        for i, part in enumerate(node.patterns):
            place = self.call(part, hir.match_positional, value, cls, hir.Literal(self.loc(part), i))
            out += self._part(part, place, no, captured)
        for name, part in zip(node.kwd_attrs, node.kwd_patterns, strict=True):
            place = self.call(part, getattr, value, hir.Literal(self.loc(part), name))
            out += self._part(part, place, no, captured)
        return out


def _names_of_values(p: ast.pattern) -> list[ast.expr]:
    """The constants (`Color.RED`) that a pattern takes, whatever else it takes."""
    match p:
        case ast.MatchValue(value=ast.Attribute() as value):
            return [value]
        case ast.MatchOr(patterns=patterns):
            return [v for part in patterns for v in _names_of_values(part)]
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return _names_of_values(inner)
    return []
