"""`translate` and `maketrans`."""

from conformance import case, fn

COMPLEMENT = bytes.maketrans(b"ACGTacgt", b"TGCAtgca")


@case("hello wörld")
@case("")
@fn
def texts(s: str) -> tuple[str, str, str]:
    table = str.maketrans("hlö", "HL\N{GREEK SMALL LETTER ALPHA}")
    return s.translate(table), s.translate(str.maketrans("", "", "aeiou")), s.translate(str.maketrans("w", "W", "lh"))


@case("a<b & c")
@fn
def by_dict(s: str) -> tuple[str, str, str, str]:
    escapes = str.maketrans({"<": "&lt;", "&": "&amp;"})
    numbers = {97: 65, 98: 0x1F600}
    mixed: dict[int, str | None] = {32: None, 99: "see"}
    return s.translate(escapes), s.translate(numbers), s.translate(mixed), s.translate({})


@case("abc", "xy")
@case("ab", "xy")
@fn
def lengths(x: str, y: str) -> dict[int, int]:
    return str.maketrans(x, y)


@case(-1)
@case(0x110000)
@case(66)
@fn
def bad_code(n: int) -> str:
    return "a".translate({97: n})


@case(b"AACGTn")
@case(b"")
@fn
def complement(s: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    table = bytes.maketrans(s[:2], s[2:4]) if len(s) > 3 else COMPLEMENT
    return s.translate(COMPLEMENT)[::-1], s.translate(None, b"An"), s.translate(table, delete=b"T"), s.translate(table)


@case(b"ab", b"abc")
@fn
def bytes_lengths(x: bytes, y: bytes) -> bytes:
    return bytes.maketrans(x, y)


@case(b"short")
@fn
def short_table(table: bytes) -> bytes:
    return b"abc".translate(table)


@case(b"abcabc")
@fn
def arrays(s: bytes) -> bytes:
    a = bytearray(s)
    return bytes(a.translate(bytes.maketrans(b"a", b"z"), b"c"))


@case("Hello, World")
@fn
def rot13(s: str) -> str:
    lower = "abcdefghijklmnopqrstuvwxyz"
    table = str.maketrans(lower + lower.upper(), lower[13:] + lower[:13] + lower[13:].upper() + lower[:13].upper())
    return s.translate(table)
