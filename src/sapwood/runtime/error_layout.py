"""Where each word of an error record lies (docs/design/errors-and-status.md). It is a block of i64 words.

A record holds one exception: what `raise` filled in, or what it moved to: a *cell* on the heap, which several records
share, so that an exception keeps its identity when it is raised again or is the cause or context of another.
"""

from __future__ import annotations

import hashlib

DESCRIPTOR = 0  # address of the descriptor in the object code; of the cell or the Python object
COUNT = 1  # how many values follow, or one of:
SHARED = -1  # the exception is in a cell
OBJECT = -2  # the exception is a Python object
VALUES, VALUE_LIMIT = 2, 6
PLACE = 2  # of a Python object: where compiled code met it, as JSON text [file, line, function]; or 0
CONTEXT = 8  # the cell of the exception during whose handling this one was raised, or 0
CAUSE = 9  # the cell of the exception that `raise ... from` named, or:
NO_CAUSE, FROM_NONE = 0, 1
WORDS = 10
# Behind the record of a call from Python:
MADE = 10  # whether the arguments have become native values: an error before that says that they do not fit
STACK_LIMIT = 11  # the address that the stack of this thread must not grow below; 0: any
CALL_WORDS = 12
CELL_WORDS = 1 + WORDS  # count of references, then the record

# A descriptor begins with a word: the number of classes in its table, from bit OWNED_AT on a bit for each value that
# is a reference to a heap object (or null), from OBJECTS_AT on one for each Python object. The table follows: 64-bit
# hashes of the names of the class and its bases, in the order of its MRO, without BaseException, and zeros up to
# TABLE_LEAST. After it comes the JSON text.
CLASSES = (1 << 32) - 1
OWNED_AT = 32
OBJECTS_AT = 40
TABLE_LEAST = 1


def class_hash(cls: type) -> int:
    """The number by which handlers know an exception class: made of its module and qualified name."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)
