"""Fills the templates of rules.py."""

from __future__ import annotations

import re
from random import Random

from rules import EXPRESSIONS, STATEMENTS, Form, Rule
from types_of import Type, annotation, filled, fits, letters_of, may_be, parse

SORTED = re.compile(r"\.sort\(key=(.*)")
HOLE = re.compile(r"\{([@!?]?[A-Za-z][^{}:!]*)\}")
CUT = 1048573  # ints of rules are cut below it


class Unfit(Exception):
    """A template asks for a name that is not there, or gives what Python leaves undefined."""


class Templates:
    """Expressions and statements of rules.py, in the scope that the writer keeps."""

    random: Random
    features: frozenset[str]
    variables: dict[str, Type]
    fixed: dict[str, Type]
    pool: list[Type]  # the types that programs of this module use
    loops: int
    size: int  # of programs: how deep blocks are
    walrus: int  # 0: an assignment expression is allowed
    inner: int  # 0: outside of comprehensions and lambdas
    shown: bool  # what is written is shown as text: no sets, the order of which differs

    def value(self, t: Type, depth: int) -> str:
        raise NotImplementedError

    def small(self) -> str:
        raise NotImplementedError

    def fresh(self, letter: str) -> str:
        raise NotImplementedError

    def ordered(self, t: Type) -> bool:
        raise NotImplementedError

    def line(self, depth: int, text: str) -> None:
        raise NotImplementedError

    def block(self, depth: int, count: int) -> None:
        raise NotImplementedError

    # -- rules by what they give -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """The rules and forms of the features that are asked for."""
        self.rules = [r for r in EXPRESSIONS if r.feature in self.features]
        self.forms = [f for f in STATEMENTS if f.feature in self.features]
        self.by_type: dict[Type, list[tuple[Rule, dict[str, Type]]]] = {}

    def rules_of(self, t: Type) -> list[tuple[Rule, dict[str, Type]]]:
        if t not in self.by_type:
            found = [(r, fits("int" if r.result == "long" else r.result, t, {})) for r in self.rules]
            fitting = [(r, letters) for r, letters in found if letters is not None]
            own = [(r, letters) for r, letters in fitting if r.result != "T"]
            # forms that give anything are one in three of those of a type with many of its own
            self.by_type[t] = own * max(1, 2 * (len(fitting) - len(own)) // max(1, len(own))) + fitting
        return self.by_type[t]

    def by_rule(self, t: Type, depth: int) -> str | None:
        """An expression of a type by one of the rules; None if none of some tried can be filled."""
        candidates = self.rules_of(t)
        for _ in range(3 if candidates else 0):
            rule, letters = self.random.choice(candidates)
            try:
                text = self.filled(rule, dict(letters), depth)
            except Unfit:
                continue
            return f"({text}) % {CUT}" if rule.result in ("int", "long") and t == "int" else text
        return None

    def filled(self, rule: Rule, letters: dict[str, Type], depth: int) -> str:
        if self.inner and rule.template.startswith("next(") and "," not in rule.template:
            raise Unfit  # StopIteration in a generator expression is a RuntimeError in Python
        names: dict[str, str] = {}
        bound = self.bind(rule.bound, letters, names)
        shown, self.shown = self.shown, rule.feature == "format"
        try:
            return self.fill(rule.template, letters, names, bound, depth - 1)
        finally:
            self.shown = shown

    def bind(self, heads: tuple[tuple[str, Type], ...], letters: dict[str, Type], names: dict[str, str]) -> dict:
        """New names that a form binds, with their types."""
        bound = {}
        for letter, pattern in heads:
            names[letter] = self.fresh(letter)
            bound[names[letter]] = self.settle(pattern, letters)
        return bound

    def settle(self, pattern: Type, letters: dict[str, Type]) -> Type:
        """A type of a pattern; its letters stand for parts of that from now on."""
        if any(x not in letters for x in letters_of(pattern)):
            known = [*self.variables.values(), *self.fixed.values(), *self.pool]
            found = [more for t in known if (more := fits(pattern, t, letters)) is not None]
            if found:
                letters |= self.random.choice(found)
            for letter in letters_of(pattern):
                if letter not in letters:
                    fitting = [t for t in self.pool if may_be(letter, t)]
                    letters[letter] = self.random.choice(fitting or ["int"])
        return filled(pattern, letters)

    def fill(self, template: str, letters: dict[str, Type], names: dict[str, str], bound: dict, depth: int) -> str:
        """The template with its holes filled; names in `bound` are seen by holes without a mark."""
        parts, end = [], 0
        for hole in HOLE.finditer(template):
            parts.append(template[end : hole.start()])
            parts.append(self.hole(hole[1], letters, names, bound, depth))
            end = hole.end()
        parts.append(template[end:])
        return "".join(parts)

    def hole(self, text: str, letters: dict[str, Type], names: dict[str, str], bound: dict, depth: int) -> str:
        r = self.random
        mark = text[0] if text[0] in "@!?" else ""
        text = text.removeprefix(mark) if mark else text
        if text in names:
            return names[text]
        if "=" in text:
            name, _, pattern = text.partition("=")
            names[name] = self.variable(parse(pattern), letters, set(names.values()))
            return names[name]
        if text == "n":
            return str(r.randint(0, 8))
        if text.islower() and len(text) == 1:
            if text == "w" and self.walrus:
                raise Unfit
            names[text] = self.fresh(text)
            return names[text]
        if mark == "?":
            return annotation(self.settle(parse(text), letters))
        if mark == "!":
            self.walrus += 1
        else:
            self.fixed |= bound
            self.inner += bool(bound)
        try:
            if text == "small":
                found = self.small()
            else:
                t = self.settle(parse(text), letters)
                if self.shown and not self.ordered(t):
                    raise Unfit
                found = self.plain(t) if mark == "@" else self.value(t, depth)
                if mark == "@":
                    return found
        finally:
            if mark == "!":
                self.walrus -= 1
            else:
                self.inner -= bool(bound)
                for name in bound:
                    self.fixed.pop(name, None)
        return found if re.fullmatch(r"\w+|\[[^][]*\]", found) else f"({found})"

    def looks_at_what_is_sorted(self, line: str) -> bool:
        """Python leaves open what a key function sees of the list, which may have two names."""
        key = SORTED.search(line)
        lists = [n for n, t in self.variables.items() if not isinstance(t, str) and t[0] == "list"]
        return key is not None and any(re.search(rf"\b{n}\b", key[1]) for n in lists)

    def variable(self, pattern: Type, letters: dict[str, Type], taken: set[str]) -> str:
        """The name of a variable of a type that may be assigned."""
        found = []
        for name, t in self.variables.items():
            more = fits(pattern, t, letters)
            if more is not None and name not in taken:
                found.append((name, more))
        if not found:
            raise Unfit
        name, more = self.random.choice(found)
        letters |= more
        return name

    def plain(self, t: Type) -> str:
        """A name or a constant, as a format field takes it."""
        names = [n for n, found in (self.variables | self.fixed).items() if found == t]
        constants = {"int": ["7", "255"], "float": ["0.5", "2.0"], "bool": ["True"]}.get(
            t if isinstance(t, str) else ""
        )
        choices = names or constants
        if not choices:
            raise Unfit
        return self.random.choice(choices)

    # -- statements ------------------------------------------------------------------------------------------

    def by_form(self, depth: int) -> None:
        """Statements by one of the forms."""
        for _ in range(6):
            form = self.random.choice(self.forms)
            if depth > max(self.size, 1) and any("BLOCK" in line for line in form.lines):
                continue
            if self.write(form, depth):
                return
        self.line(depth, "pass")

    def write(self, form: Form, depth: int) -> bool:
        """Writes a form; False, and nothing written, if it asks for names that are not there."""
        letters: dict[str, Type] = {}
        names: dict[str, str] = {}
        texts: list[tuple[int, str | dict[str, Type]]] = []
        self.shown = form.feature == "format"
        try:
            for assigned in re.findall(r"\{(\w)=([^{}]*)\}", "\n".join(form.lines)):
                if assigned[0] not in names:
                    names[assigned[0]] = self.variable(parse(assigned[1]), letters, set(names.values()))
            bound = self.bind(form.bound, letters, names)
            for line in form.lines:
                text = line.lstrip()
                level = (len(line) - len(text)) // 4
                if text.startswith("BLOCK"):
                    heads = [part.split(": ", 1) for part in re.split(r", (?=\w: )", text[6:]) if part]
                    texts.append((level, {n: self.settle(parse(t), letters) for n, t in heads}))
                    continue
                text = re.sub(r"\{(\w)=[^{}]*\}", lambda m: names[m[1]], text)
                filled = self.fill(text, letters, names, bound, 1)
                if self.looks_at_what_is_sorted(filled):
                    raise Unfit
                texts.append((level, filled))
        except Unfit:
            return False
        finally:
            self.shown = False
        looping = form.lines[0].startswith(("for", "while"))
        self.loops += looping
        for level, text in texts:
            if isinstance(text, str):
                if looping and level == 0 and text == "else:":
                    self.loops, looping = self.loops - 1, False
                self.line(depth + level, text)
            else:
                inner = {names[n]: t for n, t in text.items()}
                hidden = {n: self.fixed[n] for n in inner if n in self.fixed}
                self.fixed |= inner
                self.block(depth + level, self.random.choice((1, 1, 2)))
                for n in inner:
                    self.fixed.pop(n, None)
                self.fixed |= hidden
        self.loops -= looping
        return True
