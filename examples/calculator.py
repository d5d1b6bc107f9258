"""A calculator: characters become tokens, tokens a value, by recursive descent. Mistakes are an exception of its own.

    python examples/calculator.py "2 ^ 3 ^ 2" "r = 1.5" "3.14159 * r ^ 2"

Shows text, structs with lists in them, methods that call each other in circles, and try.
"""

from __future__ import annotations

import sys

from sapwood import fn, struct


class ParseError(Exception):
    pass


@struct(frozen=True)
class Token:
    kind: str
    text: str
    pos: int


@fn
def tokenize(source: str) -> list[Token]:
    tokens: list[Token] = []
    i = 0
    while i < len(source):
        c = source[i]
        if c.isspace():
            i += 1
        elif c.isdigit() or c == ".":
            start = i
            while i < len(source) and (source[i].isdigit() or source[i] == "."):
                i += 1
            tokens.append(Token("num", source[start:i], start))
        elif c.isalpha():
            start = i
            while i < len(source) and source[i].isalnum():
                i += 1
            tokens.append(Token("name", source[start:i], start))
        elif c in "+-*/^()=":
            tokens.append(Token("op", c, i))
            i += 1
        else:
            raise ParseError(f"unexpected {c!r} at {i}")
    tokens.append(Token("end", "", len(source)))
    return tokens


@struct
class Parser:
    tokens: list[Token]
    names: dict[str, float]
    pos: int = 0

    def peek(self) -> Token:
        return self.tokens[self.pos]

    def accept(self, text: str) -> bool:
        token = self.tokens[self.pos]
        if token.kind == "op" and token.text == text:
            self.pos += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            token = self.peek()
            raise ParseError(f"expected {text!r} but found {token.text!r} at {token.pos}")

    def expr(self) -> float:
        value = self.term()
        while True:
            if self.accept("+"):
                value += self.term()
            elif self.accept("-"):
                value -= self.term()
            else:
                return value

    def term(self) -> float:
        value = self.factor()
        while True:
            if self.accept("*"):
                value *= self.factor()
            elif self.accept("/"):
                value /= self.factor()
            else:
                return value

    def factor(self) -> float:
        if self.accept("-"):
            return -self.factor()
        base = self.atom()
        if self.accept("^"):
            return base ** self.factor()
        return base

    def atom(self) -> float:
        token = self.peek()
        self.pos += 1
        if token.kind == "num":
            return float(token.text)
        if token.kind == "name":
            try:
                return self.names[token.text]
            except KeyError:
                raise ParseError("unknown name " + token.text) from None
        if token.text == "(":
            value = self.expr()
            self.expect(")")
            return value
        raise ParseError(f"unexpected {token.text!r} at {token.pos}")


@fn
def evaluate(source: str, names: dict[str, float]) -> float:
    parser = Parser(tokenize(source), names)
    value = parser.expr()
    if parser.peek().kind != "end":
        raise ParseError(f"trailing input at {parser.peek().pos}")
    return value


@fn
def calculate(lines: list[str]) -> dict[str, float]:
    """Prints the value of each line, or what is wrong with it; returns the names that lines gave values to."""
    names: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        name, equals, rest = line.partition("=")
        try:
            if equals:
                names[name.strip()] = evaluate(rest, names)
            else:
                print(f"{number}: {evaluate(line, names):.6g}")
        except ParseError as e:
            print(f"{number}: error: {e}")
        except ZeroDivisionError:
            print(f"{number}: division by zero")
    return names


if __name__ == "__main__":
    calculate(sys.argv[1:] or ["r = 1.5", "3.14159 * r ^ 2", "2 ^ 3 ^ 2", "(1 + 2", "1 / (r - 1.5)"])
