"""Productions of the grammar, as templates: one line a form of the language.

    result type | feature | template

A hole is filled with an expression of its type: `{int}`, `{list[T]}`. T, U, V stand for any type, K for one that can
be a key, O for one that can be sorted; what a letter stands for is the same in the whole line. `{x=list[T]}` is the
name of a variable of that type, which `{x}` repeats. `{small}` is an int near zero, `{n}` a small constant. Names
before a semicolon (`c: T;`) are bound by the form (a comprehension, a lambda); a hole with an exclamation mark does
not see them; `{@int}` is a name or a constant, for f-strings; `{?T}` is the type as an annotation. `{w}` and other
letters are new names. An `int` is cut to be below 2**20; a `long` need not be marked where it is larger.
"""

from __future__ import annotations

from typing import NamedTuple

from types_of import Type, parse


class Rule(NamedTuple):
    """One production."""

    result: Type
    feature: str
    bound: tuple[tuple[str, Type], ...]  # names that the form binds
    template: str


def table(text: str) -> list[Rule]:
    rules = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        result, feature, template = (part.strip() for part in line.split("|", 2))
        head, mark, rest = template.partition("; ")
        bound = []
        if mark:
            template = rest
            for part in head.split(", "):
                name, _, t = part.partition(": ")
                bound.append((name, parse(t)))
        rules.append(Rule(parse(result), feature, tuple(bound), template))
    return rules


EXPRESSIONS = table(
    r"""
# ints of numbers
int | numbers | divmod({int}, {int})[1]
int | numbers | divmod({int}, {small})[0]
int | numbers | pow({int}, {n}, {int})
int | numbers | ({int}).bit_length()
int | numbers | ({int}).bit_count()
int | numbers | round({int}, -{n})
long | numbers | {small} ** {n}
int | numbers | round({float} % 1000.0)
int | numbers | math.floor({float} % 1000.0)
int | numbers | math.ceil({float} % 1000.0)
int | numbers | math.trunc({float} % 1000.0)
int | numbers | math.gcd({int}, {int})
int | numbers | math.isqrt({int})
int | numbers | math.comb({n}, {n})
int | numbers | int({float} // 1e300)
int | numbers | ({int} or {int})
int | numbers | ({int} and {int})
int | numbers | ({bool}) + ({bool})
int | numbers | sum((1, {int}, {int})) // 4
int | numbers | max({int}, {int}, key=abs)
int | numbers | c: int; min({!int}, {!int}, key=lambda {c}: {c} % 7)
int | complex | int(abs({complex}.imag) % 1000.0)
# ints of text
int | str | len({str})
int | str | ({str}).find({str}, {small})
int | str | ({str}).rfind({str})
int | str | ({str}).index({str})
int | str | ({str}).rindex({str}, {small}, {small})
int | str | ({str}).count({str})
int | text methods | int(({str})[:4], 16)
int | text methods | int(({str})[:4], {n})
int | text methods | ord(({str})[{small}])
int | text methods | len(({str}).encode())
int | text methods | len(({str}).split({str}))
int | text methods | c: str; sum(1 for {c} in {!str} if {bool})
int | text methods | c: str; max((ord({c}) for {c} in {!str}), default={!small})
# ints of bytes
int | bytes | len({bytes})
int | bytes | ({bytes})[{small}]
int | bytes | ({bytes}).find({bytes})
int | bytes | ({bytes}).rfind({bytes}, {small})
int | bytes | ({bytes}).index({int} % 256)
int | bytes | ({bytes}).count({bytes})
int | bytes | sum({bytes})
long | bytes | int.from_bytes(({bytes})[:4], 'big')
long | bytes | int.from_bytes(({bytes})[:3], 'little', signed=True)
int | bytes | int(({bytes})[:4])
int | bytearray | bytearray({bytes}).pop()
int | bytearray | len(bytearray({n}))
int | memoryview | memoryview({bytes})[{small}]
int | memoryview | len(memoryview({bytes})[{small}:{small}])
int | memoryview | sum(memoryview({bytes})[::{n} - 4])
int | memoryview | memoryview({bytes})[::-2].nbytes
# ints of containers
int | list | len({list[T]})
int | list | ({list[T]}).count({T})
int | list | ({list[T]}).index({T})
int | list methods | ({list[T]}).index({T}, {small})
int | list methods | ({list[int]}).pop({small})
int | list methods | c: T; sum(1 for {c} in {!list[T]} if {bool})
long | list methods | c: T; sum({int} for {c} in {!list[T]})
long | list methods | c: T; sum([{int} for {c} in {!list[T]}], {!small})
int | list methods | c: T, i: int; max(({int} for {i}, {c} in enumerate({!list[T]})), default=0)
int | list methods | c: T; min([{int} for {c} in {!list[T]}], default={!int})
long | list methods | c: T, d: U; sum({int} for {c}, {d} in zip({!list[T]}, {!list[U]}))
long | list methods | c: int, d: int; sum(map(lambda {c}, {d}: {int}, {!list[int]}, {!list[int]}))
int | list methods | len(list(zip({list[T]}, {list[U]})))
int | list methods | c: T; len([{c} for {c} in {!list[T]} if {bool}])
int | list methods | c: T, d: U; len([{d} for {c} in {!list[T]} for {d} in {!list[U]} if {bool}])
int | list methods | next(iter({list[int]}))
int | list methods | next(iter({list[int]}), {small})
int | list methods | [{int}, {int}, {int}][{small}]
int | list methods | ({list[int]} or [{int}])[0]
int | dict | len({dict[K, V]})
int | dict | ({dict[K, int]})[{K}]
int | dict | ({dict[K, int]}).get({K}, {int})
int | dict methods | ({dict[K, int]}).pop({K}, {int})
int | dict methods | ({dict[K, int]}).setdefault({K}, {int})
int | dict methods | ({dict[K, int]}).get({K}) or {small}
long | dict methods | sum(({dict[K, int]}).values())
int | dict methods | c: K, d: V; sum(1 for {c}, {d} in ({!dict[K, V]}).items() if {bool})
int | dict methods | len({**{dict[K, V]}, **{dict[K, V]}})
int | dict methods | len({dict[K, V]} | {dict[K, V]})
bool | dict methods | max({dict[O, V]}, default={O}, key=lambda z: 0) == {O}
int | set | len({set[K]})
long | set | sum({set[int]})
int | set | min({set[int]})
int | set methods | ({set[int]}).pop()
int | set methods | len(({set[K]}).union({list[K]}))
int | set methods | c: K; len({{int} for {c} in {!set[K]}})
int | set methods | len(frozenset({list[K]}))
int | tuple | len(({int}, {str}, {float}))
int | tuple | ({int}, {int}, {int})[{n} % 3]
int | tuple | max(({int}, {int}))
int | tuple | ({tuple[int, T]})[0]
int | optional | -1 if ({w} := {opt[int]}) is None else {w}
# floats
float | numbers | math.copysign({float}, {float})
float | numbers | math.fmod({float}, {float})
float | numbers | round({float}, {n})
float | numbers | round({float} % 100.0, 1)
float | numbers | divmod({float}, {float})[1]
float | numbers | math.ldexp({float}, {n})
float | numbers | math.frexp({float})[0]
float | numbers | math.modf({float})[0]
float | numbers | ({float} % 1000.0) ** 2
float | numbers | {small} ** -1
float | numbers | {int} / {int}
float | numbers | math.fabs({float})
float | numbers | float({bool})
float | numbers | ({float} or {float})
float | numbers | math.hypot(3.0, 4.0) * {float}
float | text methods | float({str})
float | text methods | float(str({float}))
float | complex | ({complex}).real
float | complex | ({complex}).imag
float | list methods | sum({list[float]}, 0.0)
float | list methods | max({list[float]}, default={float})
float | list methods | ({list[float]})[{small}]
float | list methods | c: T; sum(({float} for {c} in {!list[T]}), 0.0)
float | dict methods | ({dict[K, float]}).get({K}, {float})
float | dict methods | ({dict[K, float]})[{K}]
# conditions
bool | numbers | {int} <= {int} < {int}
bool | numbers | {int} == {float}
bool | numbers | {int} < {float}
bool | numbers | ({float}).is_integer()
bool | numbers | math.isnan({float})
bool | numbers | math.isinf({float})
bool | numbers | {int} in range({small}, {int}, {n} + 1)
bool | numbers | {int} in ({int}, {int}, 3)
bool | numbers | {bool} != {bool}
bool | numbers | {bool} ^ {bool}
bool | complex | {complex} == {complex}
bool | complex | bool({complex})
bool | str | {str} in {str}
bool | str | {str} < {str} <= {str}
bool | str | ({str}).endswith({str})
bool | text methods | ({str}).startswith(({str}, {str}))
bool | text methods | ({str}).startswith({str}, {small})
bool | text methods | ({str}).isalnum()
bool | text methods | ({str}).istitle()
bool | text methods | ({str}).islower()
bool | text methods | ({str}).isnumeric()
bool | text methods | ({str}).isidentifier()
bool | text methods | ({str}).isascii()
bool | text methods | ({str}).isprintable()
bool | bytes | {bytes} < {bytes}
bool | bytes | {bytes} in {bytes}
bool | bytes | ({int} % 256) in {bytes}
bool | bytes | ({bytes}).startswith({bytes})
bool | bytes | ({bytes}).isdigit()
bool | bytes | ({bytes}).isalpha()
bool | bytearray | bytearray({bytes}) == {bytes}
bool | memoryview | memoryview({bytes})[1:] == {bytes}
bool | list | {T} in {list[T]}
bool | list | {list[T]} == {list[T]}
bool | list methods | {list[O]} < {list[O]}
bool | list methods | {list[O]} >= {list[O]}
bool | list methods | c: T; any({bool} for {c} in {!list[T]})
bool | list methods | c: T; all([{bool} for {c} in {!list[T]}])
bool | list methods | c: T, d: T; any({c} == {d} for {c}, {d} in zip({!list[T]}, reversed({!list[T]})))
bool | list methods | {list[T]} is {list[T]}
bool | dict | {K} in {dict[K, V]}
bool | dict | {dict[K, V]} == {dict[K, V]}
bool | dict methods | {K} not in ({dict[K, V]}).keys()
bool | dict methods | {V} in ({dict[K, V]}).values()
bool | dict methods | ({K}, {V}) in ({dict[K, V]}).items()
bool | set | {K} in {set[K]}
bool | set | {set[K]} <= {set[K]}
bool | set | {set[K]} == {set[K]}
bool | set methods | ({set[K]}).isdisjoint({set[K]})
bool | set methods | ({set[K]}).issubset({list[K]})
bool | set methods | ({set[K]}).issuperset({set[K]})
bool | set methods | frozenset({list[K]}) == {set[K]}
bool | set methods | {set[K]} > {set[K]}
bool | tuple | {tuple[T, U]} == {tuple[T, U]}
bool | tuple | ({int}, {str}) < ({int}, {str})
bool | tuple | ({int}, {float}, {int}) >= ({int}, {float})
bool | optional | {opt[T]} is None
bool | optional | {opt[int]} == {int}
bool | optional | not {opt[list[int]]}
# text
str | text methods | ({str}).title()[:16]
str | text methods | ({str}).center({n})
str | text methods | ({str}).zfill({n})
str | text methods | ({str}).ljust({n}, '*')
str | text methods | ({str}).rjust({int} % 9)
str | text methods | ({str}).lower()[:16]
str | text methods | ({str}).casefold()[:16]
str | text methods | ({str}).swapcase()[:16]
str | text methods | ({str}).capitalize()[:16]
str | text methods | ({str}).lstrip('ah')
str | text methods | ({str}).rstrip({str})
str | text methods | ({str}).removeprefix({str})
str | text methods | ({str}).removesuffix({str})
str | text methods | ({str}).partition({str})[{n} % 3]
str | text methods | ({str}).rpartition(',')[{n} % 3]
str | text methods | ({str}).replace({str}, {str}, {n})[:16]
str | text methods | ({str}).expandtabs({n})[:16]
str | text methods | ({str}).encode().decode()
str | text methods | chr({int} % 300 + 32)
str | text methods | ({str} or {str})
str | text methods | min({str}, {str})
str | text methods | max([{str}, {str}], key=len)
str | text methods | ''.join(reversed({str}))
str | text methods | ''.join(sorted({str}))
str | text methods | c: str; ''.join({c} for {c} in {!str} if {bool})
str | text methods | c: T; '-'.join([{str} for {c} in {!list[T]}])[:16]
str | text methods | ', '.join(map(str, {list[int]}))[:16]
str | slice | ({str})[{small}:{small}:{n} + 1]
str | slice | ({str})[::-{n} - 1]
str | slice | ({str})[{small}::-1]
str | slice | ({str})[{small}]
str | format | '%s-%d' % ({str}, {int})
str | format | '%5.2f|%-4s|%03d' % ({float} % 1000.0, {str}, {small})
str | format | '%x %o %r' % ({int} % 512, {n}, {str})
str | format | '{}:{:>4}'.format({str}, {small})[:16]
str | format | '{1}{0!r}'.format({str}, {int})[:16]
str | format | hex({int})
str | format | oct({int})
str | format | bin({small})
str | format | ascii({str})[:16]
str | format | f'{{@int}:+,d}'
str | format | f'{{@int}:#06x}'
str | format | f'{{@float}:>10.3e}'
str | format | f'{{@float}:g}'
str | format | f'{{@float} % 1000.0:08.3f}'
str | format | f'{{@float} % 10.0:.1%}'
str | format | f'{{@str}!r:>8}'[:16]
str | format | f'{{@str}:*^{{n} + 2}}'[:16]
str | format | f'{{@int}:>{{n} + 1}}'
str | format | f'{{@bool}}{{@int}=}'[:16]
str | format | format({int}, '_d')
str | format | format({float}, '.4g')
str | format | str({list[T]})[:16]
str | format | repr({tuple[T, U]})[:16]
str | format | str({dict[K, V]})[:16]
str | format | f'{{@opt[T]}}'[:16]
str | format | str({bytes})[:16]
str | format | str({complex})[:16]
str | format | str({set[int]})[:16]
str | bytes | ({bytes}).hex()[:16]
str | bytes | ({bytes}).decode('latin-1')
str | bytes | ({bytes}).decode()
str | bytes | ({bytes}).decode('utf-8', 'replace')
str | list methods | ({list[str]})[{small}]
str | list methods | min({list[str]}, default='none')
str | dict methods | ({dict[K, str]}).get({K}, {str})
str | dict methods | ({dict[K, str]})[{K}]
# bytes
bytes | bytes | ({bytes} + {bytes})[:16]
bytes | bytes | ({bytes} * {small})[:16]
bytes | bytes | ({bytes})[{small}:{small}]
bytes | bytes | ({bytes})[::-{n} - 1]
bytes | bytes | ({bytes}).upper()
bytes | bytes | ({bytes}).lower().title()
bytes | bytes | ({bytes}).replace({bytes}, b'z')[:16]
bytes | bytes | ({bytes}).strip()
bytes | bytes | ({bytes}).lstrip({bytes})
bytes | bytes | ({bytes}).center({n}, b'.')
bytes | bytes | ({bytes}).zfill({n})
bytes | bytes | ({bytes}).partition({bytes})[{n} % 3]
bytes | bytes | ({bytes}).split(b'a')[{small}]
bytes | bytes | b','.join([{bytes}, {bytes}])[:16]
bytes | bytes | bytes([{small}, {int} % 256])
bytes | bytes | c: int; bytes([{int} % 256 for {c} in {!bytes}])[:16]
bytes | bytes | bytes({n})
bytes | bytes | ({int} % 65536).to_bytes({n}, 'little')
bytes | bytes | ({small}).to_bytes({n}, 'big', signed=True)
bytes | bytes | ({str}).encode()[:16]
bytes | bytes | bytes.fromhex({str})
bytes | bytes | ({bytes} or {bytes})
bytes | bytes | ({bytes} if {bool} else {bytes})
bytes | bytearray | bytes(bytearray({bytes}))
bytes | bytearray | bytes(bytearray({bytes}) + {bytes})[:16]
bytes | memoryview | memoryview({bytes}).tobytes()
bytes | memoryview | bytes(memoryview({bytes})[::-1])
bytes | memoryview | memoryview({bytes})[{small}:{small}].tobytes()
# complex numbers
complex | complex | ({complex} + {complex})
complex | complex | ({complex} - {complex})
complex | complex | ({complex} * {complex})
complex | complex | ({complex} / {complex})
complex | complex | (-{complex})
complex | complex | ({complex}).conjugate()
complex | complex | complex({float}, {float})
complex | complex | ({complex} * {float})
complex | complex | ({complex} + {int})
complex | complex | {int} - {complex}
complex | complex | ({complex} if {bool} else {complex})
# lists
list[T] | list methods | [{T}] * {small}
list[T] | list methods | ({list[T]} + {list[T]})[:12]
list[T] | list methods | list({list[T]})
list[T] | list methods | [*{list[T]}, {T}][:12]
list[T] | list methods | ({list[T]} or [{T}])
list[T] | list methods | ({list[T]} if {bool} else {list[T]})
list[T] | list methods | list(reversed({list[T]}))
list[T] | list methods | c: T; list(filter(lambda {c}: {bool}, {!list[T]}))
list[T] | comprehension | c: U; [{T} for {c} in {!list[U]}]
list[T] | comprehension | c: U; [{T} for {c} in {!list[U]} if {bool}]
list[T] | comprehension | c: int; [{T} for {c} in range({!small})]
list[T] | comprehension | c: U, i: int; [{T} for {i}, {c} in enumerate({!list[U]}, {!small})]
list[T] | comprehension | c: U, d: V; [{T} for {c}, {d} in zip({!list[U]}, {!list[V]}) if {bool}]
list[T] | comprehension | c: int, d: int; [{T} for {c} in range({!n} % 3) for {d} in range({c})]
list[T] | comprehension | c: str; [{T} for {c} in ({!str})[:4]]
list[T] | comprehension | c: K; [{T} for {c} in sorted({!set[K]})]
list[T] | comprehension | c: K, d: V; [{T} for {c}, {d} in ({!dict[K, V]}).items()]
list[T] | comprehension | c: U; list(map(lambda {c}: {T}, {!list[U]}))
list[T] | dict methods | list(({dict[K, T]}).values())
list[K] | dict methods | list({dict[K, V]})
list[K] | dict methods | list(reversed({dict[K, V]}))
list[T] | slice | ({list[T]})[{small}:{small}]
list[T] | slice | ({list[T]})[::-{n} - 1]
list[T] | slice | ({list[T]})[{small}:{small}:-1]
list[T] | slice | ({list[T]})[{small}::{n} + 1]
list[O] | sort | sorted({list[O]})
list[O] | sort | sorted({list[O]}, reverse={bool})
list[O] | sort | sorted({set[O]})
list[T] | sort | c: T; sorted({!list[T]}, key=lambda {c}: {int})
list[T] | sort | c: T; sorted({!list[T]}, key=lambda {c}: ({int}, {str}), reverse={!bool})
list[int] | sort | sorted({list[int]}, key=lambda z: (z % 7, -z))
list[O] | sort | sorted({dict[O, V]})
O | sort | max({x=dict[O, int]}, key={x}.get)
list[str] | sort | sorted({list[str]}, key=len)
list[str] | text methods | ({str}).split({str})
list[str] | text methods | ({str}).split()
list[str] | text methods | ({str}).split(',', {n})
list[str] | text methods | ({str}).rsplit({str}, {n})
list[str] | text methods | ({str}).splitlines()
list[str] | text methods | list({str})
list[int] | list methods | list(range({small}))
list[int] | list methods | list(range({small}, {int} % 9, {n} + 1))
list[int] | list methods | list(range({small}, {small}, -{n} - 1))
list[int] | bytes | list({bytes})
list[int] | memoryview | memoryview({bytes}).tolist()
list[bytes] | bytes | ({bytes}).split({bytes})
list[int] | set methods | list({set[int]})
# dicts
dict[K, V] | dict methods | ({dict[K, V]}).copy()
dict[K, V] | dict methods | dict({dict[K, V]})
dict[K, V] | dict methods | ({dict[K, V]} | {dict[K, V]})
dict[K, V] | dict methods | {**{dict[K, V]}, {K}: {V}}
dict[K, V] | dict methods | dict.fromkeys({list[K]}, {V})
dict[K, V] | dict methods | dict(zip({list[K]}, {list[V]}))
dict[K, V] | dict methods | ({dict[K, V]} if {bool} else {dict[K, V]})
dict[K, V] | comprehension | c: K, d: V; {{c}: {V} for {c}, {d} in ({!dict[K, V]}).items()}
dict[K, V] | comprehension | c: K; {{c}: {V} for {c} in {!list[K]}}
dict[K, V] | comprehension | c: int; {{K}: {V} for {c} in range({!small})}
dict[O, V] | sort | dict(sorted(({dict[O, V]}).items(), key=lambda z: z[0]))
# sets
set[K] | set methods | ({set[K]} | {set[K]})
set[K] | set methods | ({set[K]} & {set[K]})
set[K] | set methods | ({set[K]} - {set[K]})
set[K] | set methods | ({set[K]} ^ {set[K]})
set[K] | set methods | ({set[K]}).union({list[K]}, {set[K]})
set[K] | set methods | ({set[K]}).intersection({list[K]})
set[K] | set methods | ({set[K]}).difference({list[K]})
set[K] | set methods | ({set[K]}).symmetric_difference({list[K]})
set[K] | set methods | ({set[K]}).copy()
set[K] | set methods | set({list[K]})
set[K] | set methods | set({dict[K, V]})
set[K] | comprehension | c: K; {{c} for {c} in {!list[K]} if {bool}}
set[K] | comprehension | c: U; {{K} for {c} in {!list[U]}}
# tuples and optional values
tuple[T, U] | tuple | ({T}, {U})
tuple[T, U] | tuple | ({tuple[T, U]} if {bool} else ({T}, {U}))
tuple[int, int] | tuple | divmod({int}, {int})
opt[T] | optional | ({T} if {bool} else None)
opt[T] | optional | (None if {bool} else {T})
opt[T] | dict methods | ({dict[K, T]}).get({K})
opt[T] | optional | ({opt[T]} if {bool} else {opt[T]})
# structs of every module
int | heap struct | {Node}.total()
int | heap struct | {Node}.value
Node | heap struct | Node({int})
Node | heap struct | chain({list[int]})
Node | heap struct | Node({int}, {Node})
opt[Node] | heap struct | {Node}.next
bool | heap struct | {Node} is {Node}
bool | heap struct | {Node} == {Node}
str | heap struct | repr({Node})[:16]
int | operators | {Vec}[{small}]
int | operators | len({Vec})
int | operators | {Vec}({small})
int | operators | {Vec}.x
int | operators | hash({Vec}) % 1000
int | operators | sum({Vec})
bool | operators | {int} in {Vec}
bool | operators | {Vec} < {Vec}
bool | operators | {Vec} == {Vec}
bool | operators | {Vec} in {list[Vec]}
Vec | operators | Vec({int}, {int})
Vec | operators | Vec({int})
Vec | operators | ({Vec} + {Vec}).cut()
Vec | operators | ({Vec} * {small}).cut()
Vec | operators | ({small} * {Vec}).cut()
Vec | operators | max({Vec}, {Vec})
Vec | operators | sorted([{Vec}, {Vec}])[0]
Vec | operators | min({list[Vec]})
str | operators | f'{{@Vec}}'[:16]
int | inheritance | {Derived}.size()
int | inheritance | {Derived}.count
int | inheritance | Base.empty().size() + Derived.least()
int | inheritance | Base({int}, {str}).size()
str | inheritance | {Derived}.label
str | inheritance | repr({Derived})[:24]
Derived | inheritance | Derived({int})
Derived | inheritance | Derived({int}, {str}, {float})
Derived | inheritance | Derived(weight={float}, count={int})
# of any type
T | list methods | ({list[T]})[{small}]
T | list methods | ({list[T]}).pop()
T | list methods | ({list[T]})[-1]
T | tuple | ({T}, {U})[0]
T | numbers | ({T} if {bool} else {T})
T | optional | ({w} if ({w} := {opt[T]}) is not None else {T})
T | dict methods | ({dict[K, T]})[{K}]
T | dict methods | ({dict[K, T]}).get({K}, {T})
T | nested list | ({list[list[T]]})[{small}][{small}]
T | function argument | applied(lambda: {T})
T | list methods | next(iter({list[T]}))
T | list methods | c: T; max({!list[T]}, key=lambda {c}: {int})
T | list methods | c: T; min({!list[T]}, key=lambda {c}: {int}, default={!T})
T | generic | chosen({bool}, {T}, {T})
int | function argument | c: int; twice(lambda {c}: {int}, {!int}) % 1048573
int | starred | collected({int}, {int}, start={small})
int | starred | collected(*({int}, {int}), {int})
"""
)


class Form(NamedTuple):
    """A production of statements. A line `BLOCK c: T` is a block that sees the name c."""

    feature: str
    bound: tuple[tuple[str, Type], ...]
    lines: tuple[str, ...]


def forms(text: str) -> list[Form]:
    found = []
    for part in text.strip().split("\n\n"):
        head, *lines = part.splitlines()
        feature, _, names = head.removeprefix("# ").partition(" | ")
        bound = [name.split(": ", 1) for name in names.split(", ") if name]
        found.append(Form(feature, tuple((name, parse(t)) for name, t in bound), tuple(lines)))
    return found


STATEMENTS = forms(
    r"""
# list methods
if len({x=list[T]}) < 12:
    {x}[{small}:{small}] = {list[T]}[:3]

# list methods
{x=list[T]}[::2] = {list[T]}

# list methods
{x=list[T]}[{small}::-1] = {list[T]}

# list methods
del {x=list[T]}[{small}:{small}]

# list methods
del {x=list[T]}[::-{n} - 1]

# list methods
{x=list[T]} += {list[T]}
{x} = {x}[:12]

# list methods
{x=list[T]} *= {small}
{x} = {x}[-12:]

# list methods
{x=list[T]}[{small}], {x}[{small}] = {x}[{small}], {T}

# sort | c: T
{x=list[T]}.sort(key=lambda {c}: {int}, reverse={!bool})

# nested list
if len({x=list[list[T]]}) < 12:
    {x}.append([{T}])
{x}[{small}].append({T})
{x}[{small}] = {x}[{small}][-3:]

# list methods
for {c} in {x=list[T]}:
    if len({x}) < 12 and {bool}:
        {x}.append({c})
    BLOCK c: T

# unpack
{x=T}, *{g}, {y=T} = {list[T]}

# unpack
{x=T}, {y=U} = {T}, {U}

# unpack
{x=int}, ({y=T}, {z=U}) = {int}, {tuple[T, U]}

# unpack
for {c}, ({d}, {e}) in enumerate(zip({list[T]}, {list[U]})):
    BLOCK c: int, d: T, e: U

# dict methods
{x=dict[K, V]} |= {dict[K, V]}
if len({x}) > 12:
    {x}.clear()

# dict methods
{y=K}, {z=V} = {x=dict[K, V]}.popitem()

# dict methods
{x=dict[K, int]}[{K}] += {small}

# dict methods
if len({x=dict[K, list[T]]}) < 12:
    {x}.setdefault({K}, []).append({T})

# dict methods
for {c} in list({x=dict[K, V]}):
    if {bool}:
        del {x}[{c}]

# dict methods
for {c} in {x=dict[K, V]}:
    if len({x}) < 12:
        {x}[{K}] = {V}

# dict methods
for {c}, {d} in sorted({dict[O, V]}.items(), key=lambda z: z[0]):
    BLOCK c: O, d: V

# dict methods
for {c} in {dict[K, V]}.values():
    BLOCK c: V

# set methods
{x=set[K]} |= {set[K]}

# set methods
{x=set[K]} &= {set[K]}

# set methods
{x=set[K]} -= {set[K]}

# set methods
{x=set[K]} ^= {set[K]}

# set methods
{x=set[K]}.update({list[K]})
if len({x}) > 12:
    {x}.clear()

# set methods
{x=set[K]}.difference_update({list[K]})

# set methods
{x=set[K]}.intersection_update({set[K]})

# set methods
for {c} in {set[int]}:
    BLOCK c: int

# defaultdict | c: int
{g} = defaultdict(int)
for {c} in {!list[int]}:
    {g}[{c} % 3] += {small}
{x=dict[int, int]} = dict({g})

# defaultdict | c: T
{g} = defaultdict(list)
for {c} in {!list[T]}:
    {g}[{small}].append({c})
{x=list[T]} = {g}[{!small}]
{y=int} = len({g})

# defaultdict
{g} = defaultdict(lambda: 5)
{x=int} = {g}[{small}] + len({g})

# bytearray
{g} = bytearray({bytes})
{g}.append({int} % 256)
{g}.extend({bytes})
{g}[{small}] = {int} % 256
{g}.reverse()
{x=bytes} = bytes({g})[:16]

# bytearray
{g} = bytearray({bytes})
{g}[{small}:{small}] = {bytes}
{g}.insert({small}, {n})
del {g}[{small}]
{g} += {bytes}
{x=bytes} = bytes({g})[:16]

# memoryview
{g} = bytearray({bytes})
{h} = memoryview({g})[::-1]
{h}[{small}] = {int} % 256
{x=bytes} = bytes({g})

# memoryview
{g} = bytearray({bytes})
with memoryview({g}) as {h}:
    {x=int} = sum({h})
    BLOCK
{g}.append(1)

# chained exception
try:
    BLOCK
except (LookupError, ArithmeticError) as {e}:
    raise ValueError({str}) from {e}

# chained exception
try:
    BLOCK
except ValueError:
    raise KeyError({int}) from None

# chained exception
try:
    BLOCK
except Exception as {e}:
    BLOCK
    raise {e}

# chained exception
try:
    BLOCK
except Exception as {e}:
    {x=str} = repr({e})[:16]
    {y=int} = len({e}.args)
    if isinstance({e}, KeyError) or {bool}:
        raise

# chained exception
try:
    raise ValueError({int}, {str})
except ValueError as {e}:
    {x=str} = str({e})[:16]
finally:
    BLOCK

# chained exception
try:
    try:
        BLOCK
    finally:
        BLOCK
except LookupError:
    BLOCK
except (ArithmeticError, ValueError, AssertionError):
    BLOCK
else:
    BLOCK

# finally
for {c} in range({n} % 4):
    try:
        if {bool}:
            continue
        if {bool}:
            break
        BLOCK c: int
    finally:
        BLOCK c: int

# chained exception | c: int
try:
    {x=list[T]} = [{T} for {c} in {!list[int]} if {int} // {c} > 1]
except ZeroDivisionError:
    BLOCK

# patterns
match {list[int]}:
    case []:
        BLOCK
    case [{c}]:
        BLOCK c: int
    case [{c}, {d}] if {bool}:
        BLOCK c: int, d: int
    case [{c}, *{d}]:
        BLOCK c: int, d: list[int]

# patterns
match {list[str]}:
    case ['a', *_]:
        BLOCK
    case [*{d}, 'hello' | '']:
        BLOCK d: list[str]
    case _:
        BLOCK

# patterns
match {tuple[int, T]}:
    case (0 | 1 | 2 as {c}, _):
        BLOCK c: int
    case ({c}, {d}):
        BLOCK c: int, d: T

# patterns
match {opt[T]}:
    case None:
        BLOCK
    case {c}:
        BLOCK c: T

# patterns
match {dict[str, int]}:
    case {'a': {c}}:
        BLOCK c: int
    case {'hello': 0, **{d}}:
        BLOCK d: dict[str, int]
    case _:
        BLOCK

# patterns
match {Vec}:
    case Vec(0, {c}):
        BLOCK c: int
    case Vec(x={c}, y={d}) if {bool}:
        BLOCK c: int, d: int
    case Vec():
        BLOCK

# nested function | c: int
def {g}({c}: int) -> int:
    return {small} if {c} <= 0 else {g}({c} - 1) + {small}
{x=int} = {g}({n})

# nested function | c: T
def {g}({c}: {?T}) -> None:
    {x=list[T]}.append({c})
if len({x}) < 12:
    {g}({!T})
    {g}({!T})

# nonlocal | c: T
def {g}({c}: {?T}) -> int:
    nonlocal {x=T}, {y=int}
    {x} = {c}
    {y} += 1
    return {y}
{z=int} = {g}({!T}) + {g}({!T})
{z} %= 1048573
{y} %= 1048573

# nonlocal | c: int
def {g}({c}: int) -> None:
    nonlocal {x=int}
    if {c} > 0:
        {x} = ({x} * 2 + {c}) % 1048573
        {g}({c} - 1)
{g}({n})

# function argument
{g} = lambda: {T}
{x=T} = {g}()
{x} = applied({g})

# optional
{g} = {opt[T]}
if {g} is None:
    {g} = {T}
{x=T} = {g}

# optional
{x=opt[T]} = {opt[T]}
while {x} is not None:
    BLOCK
    {x} = None

# walrus
if ({g} := {list[T]}) and {bool}:
    BLOCK g: list[T]

# walrus
{g} = {n} % 4
while ({g} := {g} - 1) >= 0:
    BLOCK g: int

# heap struct
{x=Node}.add({int})
{y=int} = {x}.total() % 1048573

# heap struct
{x=Node}.next = Node({int})

# heap struct
{g} = {Node}
while {g}.next is not None:
    {g} = {g}.next
    {g}.value += {small}

# heap struct
{x=list[Node]} = [{Node}, {Node}, Node({int})]
{x}[{small}].add({int})
{y=int} = sum([{g}.value for {g} in {x}]) % 1048573

# operators
{x=Vec} += {Vec}
{x} = {x}.cut()

# operators
{g} = {{Vec}: {int}, {Vec}: {int}}
{x=int} = {g}[{Vec}]

# inheritance
{x=Derived} = Derived({int}, {str}, {float})
{x}.grow({small})
{y=int} = {x}.size() % 1048573

# iterator | c: T
{g} = iter({!list[T]})
{x=T} = next({g})
for {c} in {g}:
    BLOCK c: T

# iterator
{g} = zip({list[T]}, {list[U]})
for {c}, {d} in {g}:
    if {bool}:
        break
    BLOCK c: T, d: U
{x=T}, {y=U} = next({g})

# iterator | c: T
{g} = ({T} for {c} in {!list[T]} if {bool})
{x=T} = next({g}, {!T})

# try
try:
    {x=int} = int({str})
except ValueError as {e}:
    {y=str} = str({e})[-16:]

# format
print({T}, {U}, sep={str}, end='|')

# for else
for {c} in {list[T]}:
    if {c} == {T}:
        break
    BLOCK c: T
else:
    BLOCK

# match
match {str}:
    case 'a' | 'b' as {c}:
        BLOCK c: str
    case {c} if len({c}) > 2:
        BLOCK c: str
    case _:
        BLOCK
"""
)

# What every module has.
SHARED = """
@fn
def twice(f, n):
    return f(f(n))


@fn
def applied(f):
    return f()


@fn
def chosen(first, x, y):
    return x if first else y


@fn
def collected(*items: int, start: int = 0) -> int:
    total = start
    for item in items:
        total = (total * 3 + item) % 1048573
    return total


@struct
class Node:
    value: int
    next: "Node | None" = None

    def add(self, value: int) -> None:
        if self.next is None:
            self.next = Node(value)
        else:
            self.next.add(value)

    def total(self) -> int:
        out = self.value
        if self.next is not None:
            out += self.next.total()
        return out


@fn
def chain(values: list[int]) -> Node:
    first = Node(-1)
    for value in reversed(values):
        first = Node(value, first)
    return first


@struct(frozen=True, order=True)
class Vec:
    x: int
    y: int = 1

    def __add__(self, other: "Vec") -> "Vec":
        return Vec(self.x + other.x, self.y + other.y)

    def __mul__(self, n: int) -> "Vec":
        return Vec(self.x * n, self.y * n)

    def __rmul__(self, n: int) -> "Vec":
        return self * n

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> int:
        return (self.x, self.y)[i]

    def __contains__(self, n: int) -> bool:
        return n in (self.x, self.y)

    def __call__(self, n: int) -> int:
        return self.x % 7 + n

    def cut(self) -> "Vec":
        return Vec(self.x % 1000, self.y % 1000)


@struct
class Base:
    count: int
    name: str = "base"

    def size(self) -> int:
        return self.count + len(self.name)

    def grow(self, n: int) -> None:
        self.count += n
        if n < 0:
            raise ValueError(self.name, n)

    @property
    def label(self) -> str:
        return self.name[:3]

    @label.setter
    def label(self, text: str) -> None:
        self.name = text + "!"

    @staticmethod
    def least() -> int:
        return 1

    @classmethod
    def empty(cls) -> "Base":
        return Base(0)


@struct
class Derived(Base):
    weight: float = 0.5

    def size(self) -> int:
        return super().size() * 2

    def __post_init__(self) -> None:
        if self.count == 3:
            raise IndexError("three")
        self.count += 1

"""
