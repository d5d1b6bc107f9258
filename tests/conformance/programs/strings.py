"""str: indexing, slices, methods, comparison, unicode, building."""

from conformance import case, fn


@case("hello", 1)
@case("hello", -1)
@case("naïve ☃ 𝄞", 2)
@case("naïve ☃ 𝄞", -1)
@case("abc", 3)
@case("", 0)
@fn
def index(s: str, i: int) -> str:
    return s[i]


@case("hello")
@case("")
@case("naïve ☃ 𝄞")
@fn
def length(s: str) -> tuple[int, bool]:
    return len(s), bool(s)


@case("hello world", 2, 7)
@case("naïve ☃ 𝄞", 2, -1)
@case("abc", 5, 1)
@fn
def slices(s: str, a: int, b: int) -> tuple[str, str, str, str]:
    return s[a:b], s[:a], s[b:], s[::-1]


@case("abcdef")
@fn
def stepped(s: str) -> tuple[str, str]:
    return s[::2], s[4:1:-1]


@case("ab", "cd")
@fn
def concatenate(a: str, b: str) -> str:
    return a + b + "!" + a * 3


@case("abc", "abd")
@case("abc", "abc")
@case("ab", "abc")
@case("é", "z")
@fn
def compare(a: str, b: str) -> tuple[bool, bool, bool, bool]:
    return a == b, a != b, a < b, a >= b


@case("hello", "ell")
@case("hello", "")
@case("hello", "xyz")
@fn
def contains(s: str, part: str) -> tuple[bool, bool]:
    return part in s, part not in s


@case("one two  three ")
@case("")
@case(" \t\n ")
@fn
def split(s: str) -> list[str]:
    return s.split()


@case("a,b,,c", ",")
@case("", ",")
@case("a--b", "--")
@case("abc", "")
@fn
def split_on(s: str, separator: str) -> list[str]:
    return s.split(separator)


@case("a,b,c,d")
@fn
def split_limit(s: str) -> tuple[list[str], list[str]]:
    return s.split(",", 2), s.rsplit(",", 1)


@case(["a", "b", "c"], "-")
@case([], ",")
@case(["x"], ",")
@fn
def join(parts: list[str], separator: str) -> str:
    return separator.join(parts)


@case("  padded \n")
@fn
def strip(s: str) -> tuple[str, str, str]:
    return s.strip(), s.lstrip(), s.rstrip()


@case("xxhixx")
@fn
def strip_letters(s: str) -> tuple[str, str, str]:
    return s.strip("x"), s.lstrip("hx"), s.rstrip("y")


@case("Hello World")
@case("straße É")
@fn
def letter_case(s: str) -> tuple[str, str]:
    return s.upper(), s.lower()


@case("hello wORLD")
@fn
def more_case(s: str) -> tuple[str, str, str]:
    return s.capitalize(), s.title(), s.swapcase()


@case("hello", "l")
@case("hello", "zz")
@case("héllo", "l")
@fn
def find(s: str, part: str) -> tuple[int, int, int]:
    return s.find(part), s.rfind(part), s.count(part)


@case("hello", "l")
@case("hello", "zz")
@fn
def index_of(s: str, part: str) -> int:
    return s.index(part)


@case("hello", "l", "LL")
@case("aaa", "a", "")
@case("abc", "", "-")
@fn
def replace(s: str, a: str, b: str) -> str:
    return s.replace(a, b)


@case("a.b.c")
@fn
def replace_count(s: str) -> str:
    return s.replace(".", "/", 1)


@case("file.tar.gz")
@fn
def starts_ends(s: str) -> tuple[bool, bool, bool]:
    return s.startswith("file"), s.endswith(".gz"), s.startswith("")


@case("file.tar.gz")
@case("nodot")
@fn
def partition(s: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    return s.partition("."), s.rpartition(".")


@case("prefix-body-suffix")
@fn
def remove_affixes(s: str) -> tuple[str, str]:
    return s.removeprefix("prefix-"), s.removesuffix("-suffix")


@case("abc123")
@case("123")
@case("abc")
@case("")
@case(" \t")
@fn
def kinds(s: str) -> tuple[bool, bool, bool, bool, bool, bool]:
    return s.isdigit(), s.isalpha(), s.isalnum(), s.isspace(), s.isupper(), s.islower()


@case("a")
@case("☃")
@fn
def code_points(s: str) -> tuple[int, str]:
    return ord(s), chr(ord(s) + 1)


@case("ab")
@fn
def ord_of_two(s: str) -> int:
    return ord(s)


@case(-1)
@case(1114112)
@case(65)
@fn
def chr_range(n: int) -> str:
    return chr(n)


@case("hello")
@fn
def iterate(s: str) -> list[str]:
    out = []
    for c in s:
        out.append(c + c)
    return out


@case("hello")
@fn
def build(s: str) -> str:
    out = ""
    for c in s:
        if c != "l":
            out += c
    return out


@case("ab\ncd\r\nef")
@case("")
@fn
def lines(s: str) -> list[str]:
    return s.splitlines()


@case("7")
@fn
def pad(s: str) -> tuple[str, str, str, str]:
    return s.rjust(3), s.ljust(3, "."), s.center(4, "*"), s.zfill(3)


@case("-7")
@fn
def zfill_sign(s: str) -> str:
    return s.zfill(5)


@case(42)
@case(-1)
@fn
def from_int(n: int) -> tuple[str, str]:
    return str(n), repr(n)


@case(1.5)
@case(1e100)
@case(0.1)
@case(-0.0)
@case(1e-7)
@case(123456789.0)
@case(float("nan"))
@case(float("-inf"))
@fn
def from_float(x: float) -> str:
    return str(x)


@case(True)
@fn
def from_others(b: bool) -> tuple[str, str, str]:
    return str(b), str(None), str((1, 2.5))


@case("42")
@case(" -7 ")
@case("x")
@case("")
@case("1_000")
@fn
def to_int(s: str) -> int:
    return int(s)


@case("ff", 16)
@case("0x1f", 16)
@case("102", 2)
@fn
def to_int_base(s: str, base: int) -> int:
    return int(s, base)


@case("1.5")
@case(" -2e3 ")
@case("inf")
@case("1.5x")
@fn
def to_float(s: str) -> float:
    return float(s)


@case("it's")
@case('say "hi"')
@case("tab\tnew\nline\\")
@case("é\x00")
@fn
def representation(s: str) -> str:
    return repr(s)


@case(["pear", "Apple", "fig"])
@fn
def sort_texts(words: list[str]) -> tuple[list[str], list[str]]:
    return sorted(words), sorted(words, key=lambda w: len(w))


@case(["pear", "Apple", "fig"])
@fn
def longest(words: list[str]) -> tuple[str, str]:
    return max(words, key=len), min(words)


@case("hello")
@fn
def palindrome(s: str) -> bool:
    return s == s[::-1]


@case("Hello, World", 3)
@fn
def caesar(s: str, shift: int) -> str:
    out = []
    for c in s:
        if "a" <= c <= "z":
            out.append(chr((ord(c) - 97 + shift) % 26 + 97))
        elif "A" <= c <= "Z":
            out.append(chr((ord(c) - 65 + shift) % 26 + 65))
        else:
            out.append(c)
    return "".join(out)


@case("aaabccd")
@case("")
@fn
def run_length(s: str) -> str:
    out = ""
    i = 0
    while i < len(s):
        j = i
        while j < len(s) and s[j] == s[i]:
            j += 1
        out += s[i] + str(j - i)
        i = j
    return out


@case("kitten", "sitting")
@fn
def edit_distance(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a):
        current = [i + 1]
        for j, y in enumerate(b):
            current.append(min(previous[j] + (x != y), previous[j + 1] + 1, current[j] + 1))
        previous = current
    return previous[-1]


@case("listen", "silent")
@fn
def anagram(a: str, b: str) -> bool:
    return sorted(a) == sorted(b)


@case("héé")
@fn
def count_letters(s: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for c in s:
        counts[c] = counts.get(c, 0) + 1
    return counts


@case("x")
@fn
def printed(s: str) -> None:
    print(s, "y", [s], (s, 1), {s: s}, sep="|", end="!\n")


@case("abc")
@fn
def multiply(s: str) -> tuple[str, str, str]:
    return s * 2, s * 0, s * -1


@case("a-b_c")
@fn
def translate_by_hand(s: str) -> str:
    return "".join(" " if c in "-_" else c for c in s)


@case("one two")
@fn
def reversed_words(s: str) -> str:
    return " ".join(reversed(s.split()))


@case("tab\tx")
@fn
def expand(s: str) -> str:
    return s.expandtabs(4)


@case("é")
@fn
def encode(s: str) -> tuple[bytes, int]:
    return s.encode(), len(s.encode("utf-8"))


@case("x = 1; y = 2")
@fn
def parse(s: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for part in s.split(";"):
        name, value = part.split("=")
        out[name.strip()] = int(value)
    return out


@case("word")
@fn
def identity(s: str) -> tuple[bool, bool, bool, bool]:
    t = s
    u = s.upper()
    found: str | None = t if len(u) > 3 else None
    return t is s, u is not s, u is s, found is s


@case("a", "b")
@fn
def join_of_a_tuple(s: str, t: str) -> tuple[str, str, str]:
    return "-".join((s, t, s + t)), "-".join((s,)), s.join(())
