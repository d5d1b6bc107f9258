"""Huffman coding: a tree whose leaves are the characters of a text, the frequent ones near the root.

    python examples/huffman.py "she sells sea shells"

Shows a struct that refers to itself, sorting by its own order, and recursion through the tree.
"""

from __future__ import annotations

import sys

from sapwood import fn, struct


@struct
class Node:
    weight: int
    symbol: str = ""
    left: Node | None = None
    right: Node | None = None

    def is_leaf(self) -> bool:
        return self.left is None and self.right is None

    def __lt__(self, other: Node) -> bool:
        return (self.weight, self.symbol) < (other.weight, other.symbol)


@fn
def count(text: str) -> dict[str, int]:
    freq: dict[str, int] = {}
    for c in text:
        freq[c] = freq.get(c, 0) + 1
    return freq


@fn
def build(freq: dict[str, int]) -> Node | None:
    nodes = [Node(w, c) for c, w in freq.items()]
    if not nodes:
        return None
    while len(nodes) > 1:
        nodes.sort(reverse=True)
        a = nodes.pop()
        b = nodes.pop()
        nodes.append(Node(a.weight + b.weight, min(a.symbol, b.symbol), a, b))
    return nodes[0]


@fn
def assign(node: Node | None, prefix: str, codes: dict[str, str]) -> None:
    if node is None:
        return
    if node.is_leaf():
        codes[node.symbol] = prefix or "0"
    else:
        assign(node.left, prefix + "0", codes)
        assign(node.right, prefix + "1", codes)


@fn
def encode(text: str) -> tuple[str, dict[str, str]]:
    codes: dict[str, str] = {}
    assign(build(count(text)), "", codes)
    return "".join(codes[c] for c in text), codes


@fn
def decode(bits: str, codes: dict[str, str]) -> str:
    inverse = {code: symbol for symbol, code in codes.items()}
    out: list[str] = []
    code = ""
    for bit in bits:
        code += bit
        if code in inverse:
            out.append(inverse[code])
            code = ""
    if code:
        raise ValueError("truncated: " + repr(code))
    return "".join(out)


def main() -> None:
    text = " ".join(sys.argv[1:]) or "she sells sea shells on the sea shore"
    bits, codes = encode(text)
    for symbol, code in sorted(codes.items(), key=lambda item: (len(item[1]), item[1])):
        print(f"{symbol!r:>4} {code}")
    print(f"{8 * len(text)} bits became {len(bits)}; decoded: {decode(bits, codes)}")


if __name__ == "__main__":
    main()
