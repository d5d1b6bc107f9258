"""Seed 8, p3: difference InvalidSSA"""

# p3(5, 3, 0.0, '12', [-2]): CPython raises IndexError: string index out of range, compiled raises InvalidSSA: p3.3 at call_unit (/tmp/tmp25y6yfqe/programs6.py:22:9): %v210066 is used where it is not defined

import math
from conformance import case, fn
from sapwood import struct

@struct
class P3M0:
    count: int

    def __enter__(self) -> int:
        return self.count

    def __exit__(self, kind: object, e: object, trace: object) -> bool:
        return self.count == 0

@case(5, 3, 0.0, '12', [-2])
@fn
def p3(a: int, b: int, x: float, s: str, given: list[int]) -> tuple[str, set[str], dict[int, tuple[str]]]:
    v1: set[str] = set([s])
    v2 = s[a]
    v3: dict[int, tuple[str]] = {}
    with P3M0(a % 5) as m15:
        try:
            pass
        except IndexError as e:
            v2 = str(e)
        else:
            pass
        pass
    return (v2, v1, v3)
