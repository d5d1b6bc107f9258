"""Members of Enum, IntEnum, Flag and IntFlag that are chosen at run time."""

from conformance import case, fn
from enum_classes import Color, Dense, Kind, Level, Permission, Shape, Style, Unit


@case(1)
@case(-1)
@case(0)
@fn
def chosen(n: int) -> tuple[bool, bool, str, int, str, str]:
    c = Color.RED if n > 0 else Color.GREEN
    if n == 0:
        c = Color.BLUE
    return c is Color.RED, c != Color.GREEN, c.name, c.value, str(c), f"{c!r} {c} {c:>12}"


@case(Color.GREEN, [Color.RED, Color.BLUE, Color.RED])
@case(Color.CRIMSON, [])
@fn
def crosses(c: Color, others: list[Color]) -> tuple[Color, list[Color], int, bool]:
    return c, [*others, c], others.count(c), c in others


@case(Color.GREEN)
@case(None)
@fn
def optional(c: Color | None) -> Color | None:
    if c is None:
        return Color.RED
    return None if c == Color.GREEN else c


@case("aab")
@fn
def as_keys(text: str) -> tuple[dict[Color, int], list[str], bool, int]:
    counts: dict[Color, int] = {}
    for ch in text:
        c = Color.RED if ch == "a" else Color.BLUE
        counts[c] = counts.get(c, 0) + 1
    seen = {c for c in counts}
    return counts, [f"{c.name}={n}" for c, n in counts.items()], Color.GREEN in seen, len(seen)


@case(2)
@case(1)
@case(3)
@fn
def by_value(n: int) -> Color:
    return Color(n)


@case("name")
@case("")
@case("other")
@fn
def by_text(s: str) -> tuple[Kind, bool]:
    k = Kind(s)
    return k, k is Kind.END


@case("GREEN")
@case("CRIMSON")
@case("PINK")
@fn
def by_name(s: str) -> Color:
    return Color[s]


@case()
@fn
def iterated() -> list[tuple[str, int]]:
    total = [(c.name, c.value) for c in Color]
    for c in Color:
        if c is not Color.RED:
            total.append((c.name, -c.value))
    return total + [(f"{len(Color)}", len(list(Level)))]


@case(Color.RED)
@case(Color.BLUE)
@fn
def matched(c: Color) -> str:
    match c:
        case Color.RED:
            return "stop"
        case Color.GREEN | Color.BLUE:
            return "go"
    return "never"


@case(Color.RED)
@case(Color.GREEN)
@fn
def methods(c: Color) -> tuple[bool, int, int]:
    return c.is_warm, c.mixed(Color.BLUE), Color.GREEN.mixed(c)


@case(Level.HIGH, 3)
@case(Level.LOW, 10)
@fn
def int_members(level: Level, n: int) -> tuple[int, bool, bool, str, str, str, str, float, int]:
    other = Level.MIDDLE if n > 5 else level
    return (
        level + n, level < other, level == n, level.name, repr(other), str(other), f"{other:4d}", level / 4,
        max(int(level), n),
    )  # fmt: skip


@case(0)
@case(2)
@fn
def int_as_index(n: int) -> tuple[str, int, int]:
    d = Dense(n)
    xs = [10, 20, 30]
    total = 0
    for i in range(d):
        total += i
    return "abc"[d], xs[d], total


@case(20)
@case(7)
@fn
def int_by_value(n: int) -> Level:
    level = Level(n)
    return level if level > Level.LOW else Level.HIGH


@case({Level.LOW: "a", Level.HIGH: "b"})
@fn
def int_keys(names: dict[Level, str]) -> tuple[str, list[Level], list[int]]:
    out = ""
    for level in sorted(names, reverse=True):
        out += names[level]
    return out, sorted({Level.HIGH, Level.LOW}), [int(k) for k in names]


@case(Permission.READ, 1)
@case(Permission.READ | Permission.EXECUTE, 2)
@case(Permission.WRITE, 12)
@fn
def int_flags(p: Permission, n: int) -> tuple[Permission, Permission, Permission, bool, bool, int, str, str, bool]:
    q = Permission.WRITE if n > 1 else Permission.EXECUTE
    both = p | q
    return both, both & ~p, p ^ n, q in both, bool(p & q), both.value, str(both), repr(both), Permission.READ in p


@case(Style.BOLD, 0)
@case(Style.LOUD, 1)
@fn
def flags(s: Style, n: int) -> tuple[Style, Style, Style, bool, str, bool]:
    t = Style.ITALIC if n else Style.WIDE
    return s | t, ~s, s & t, t in s, repr(s | t), not (s & t)


@case(8)
@case(3)
@fn
def flag_by_value(n: int) -> Style:
    return Style(n)


@case(Style.BOLD)
@case(Style.BOLD | Style.ITALIC)
@fn
def flag_name(s: Style) -> str | None:
    return s.name


@case("ft")
@case("km")
@fn
def text_members(s: str) -> tuple[bool, str, int, str]:
    u = Unit.METRE if s == "m" else Unit(s)
    return u == s, u + "!", len(u), f"{u:>4}{u.upper()}"


@case(1)
@case(2)
@fn
def with_fields(n: int) -> tuple[int, str, str, bool, list[Shape]]:
    s = Shape.DOT if n == 0 else Shape.LINE if n == 1 else Shape.FACE
    return s.dimensions, s.text, f"{s}", s < Shape.FACE, sorted([s, Shape.LINE, Shape.DOT])


@case([3, -1, 0])
@fn
def states(xs: list[int]) -> tuple[str, Kind]:
    state, seen = Kind.END, ""
    for x in xs:
        if x > 0:
            state = Kind.NUMBER
        elif x < 0:
            state = Kind.NAME
        else:
            state = Kind.END
        seen += state.value + ";"
    return seen, state


@case(1)
@fn
def in_containers(n: int) -> tuple[list[Color], tuple[Color, Color], dict[str, Color], list[tuple[Color, int]]]:
    a = Color.RED if n else Color.BLUE
    pairs = [(a, n), (Color.GREEN, 2)]
    return [a] * 2, (a, Color.BLUE), {c.name: c for c in Color}, pairs


@case(Color.RED, Level.LOW)
@fn
def printed(c: Color, level: Level) -> None:
    print(c, level, [c, Color.BLUE], {level: c}, (c,), [level])
    print(f"{c.name:>6}|{level:>4}|{level.name}", isinstance(c, Color), isinstance(level, int), type(c) is Color)


@case(Color.RED, 1)
@case(Color.GREEN, 2)
@fn
def unlike(c: Color, n: int) -> tuple[bool, bool, bool, bool]:
    return c == n, c != n, c in (Color.RED, Color.BLUE), c == Level.LOW


@case(2)
@case(0)
@fn
def missing_key(n: int) -> int:
    d = {Color.RED: 1, Color.BLUE: 2}
    c = Color.RED if n else Color.GREEN
    return d[c]
