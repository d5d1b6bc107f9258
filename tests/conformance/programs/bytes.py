"""bytes and bytearray."""

from conformance import case, fn


@case(b"hello", 1)
@case(b"hello", -1)
@case(b"hello", 9)
@fn
def index(data: bytes, i: int) -> int:
    return data[i]


@case(b"hello")
@case(b"")
@fn
def length(data: bytes) -> tuple[int, bool]:
    return len(data), bool(data)


@case(b"hello")
@fn
def slices(data: bytes) -> tuple[bytes, bytes, bytes]:
    return data[1:3], data[::-1], data[:-1]


@case(b"ab")
@fn
def concatenate(data: bytes) -> bytes:
    return data + b"\x00\xff" + data * 2


@case(b"ab", b"ac")
@case(b"ab", b"ab")
@fn
def compare(a: bytes, b: bytes) -> tuple[bool, bool, bool]:
    return a == b, a < b, a >= b


@case(b"abc")
@fn
def iterate(data: bytes) -> int:
    total = 0
    for byte in data:
        total = total * 256 + byte
    return total


@case(b"abc", 98)
@case(b"abc", 9)
@fn
def contains(data: bytes, n: int) -> tuple[bool, bool]:
    return n in data, b"bc" in data


@case(b"a b c")
@fn
def methods(data: bytes) -> tuple[list[bytes], int, bytes, bool]:
    return data.split(), data.find(b"b"), data.replace(b" ", b"-"), data.startswith(b"a")


@case("é☃")
@fn
def encode_decode(s: str) -> tuple[bytes, str]:
    data = s.encode()
    return data, data.decode()


@case(b"\xff")
@fn
def bad_utf8(data: bytes) -> str:
    return data.decode()


@case(b"\x01\xab")
@fn
def hexadecimal(data: bytes) -> tuple[str, bytes]:
    return data.hex(), bytes.fromhex("00ff")


@case(3)
@fn
def zeros(n: int) -> tuple[bytes, bytes]:
    return bytes(n), bytes([1, n])


@case(300)
@fn
def out_of_range(n: int) -> bytes:
    return bytes([n])


@case(3)
@fn
def array_append(n: int) -> bytes:
    out = bytearray()
    for i in range(n):
        out.append(i + 65)
    out += b"!"
    out.extend(b"??")
    return bytes(out)


@case(1)
@case(9)
@fn
def array_store(i: int) -> bytearray:
    out = bytearray(b"abc")
    out[i] = 88
    return out


@case(256)
@fn
def array_store_too_large(n: int) -> bytearray:
    out = bytearray(2)
    out[0] = n
    return out


@case(2)
@fn
def array_pop(n: int) -> tuple[int, bytearray]:
    out = bytearray([1, n, 3])
    return out.pop(), out


@case(b"it's\n\x00")
@fn
def representation(data: bytes) -> str:
    return repr(data)


@case(b"abc")
@fn
def adler(data: bytes) -> int:
    a, b = 1, 0
    for byte in data:
        a = (a + byte) % 65521
        b = (b + a) % 65521
    return b << 16 | a


@case(b"\x01\x02\x03\x04")
@fn
def little_endian(data: bytes) -> tuple[int, int]:
    value = 0
    for i in range(len(data)):
        value |= data[i] << 8 * i
    return value, int.from_bytes(data, "big")


@case(b"abc")
@fn
def as_dict_key(data: bytes) -> int:
    d = {b"abc": 1, b"x": 2}
    return d[data]


@case(b",".join([b"a", b"b"]))
@fn
def join(data: bytes) -> bytes:
    return b"--".join(data.split(b","))


@case(b"a,b c")
@fn
def methods_of_an_array(s: bytes) -> list[str]:
    a = bytearray(s)
    out = [repr(a.upper()), repr(a.replace(b"a", b"x")), repr(a.partition(b",")), repr(a.split(b","))]
    out.append(repr(a.strip(b"a")))
    return [*out, repr(a.hex()), repr(a.find(b"b")), repr(a.decode()), repr(a.center(9)), repr(a.join([b"1", b"2"]))]
