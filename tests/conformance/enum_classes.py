"""The classes of programs/enums.py, which CPython and compiled code have to share."""

from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto


class Color(Enum):
    RED = 1
    GREEN = 2
    BLUE = 4
    CRIMSON = 1  # noqa: PIE796

    @property
    def is_warm(self) -> bool:
        return self is Color.RED

    def mixed(self, other: "Color") -> int:
        return self.value * 10 + other.value


class Level(IntEnum):
    LOW = 10
    MIDDLE = 20
    HIGH = 40


class Dense(IntEnum):
    A = 0
    B = 1
    C = 2


class Permission(IntFlag):
    READ = 4
    WRITE = 2
    EXECUTE = 1


class Style(Flag):
    BOLD = auto()
    ITALIC = auto()
    WIDE = auto()
    LOUD = BOLD | WIDE


class Unit(StrEnum):
    METRE = "m"
    FOOT = "ft"


class Shape(Enum):
    DOT = (0, "dot")
    LINE = (1, "line")
    FACE = (2, "face")

    def __init__(self, dimensions: int, text: str) -> None:
        self.dimensions = dimensions
        self.text = text

    def __str__(self) -> str:
        return f"<{self.text}>"

    def __lt__(self, other: "Shape") -> bool:
        return self.dimensions < other.dimensions


class Kind(Enum):
    NUMBER = "number"
    NAME = "name"
    END = ""
