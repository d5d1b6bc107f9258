"""Mistakes with iterables, iterators and generator expressions."""

from __future__ import annotations

from sapwood.lang.errors import TypeMistake


class NotIterable(TypeMistake):
    code = "T018"
    message = "cannot loop over {type}"
    help = "{hint}"
    hint = "loop over a range, a sequence, or what zip, enumerate, map and filter make of them"


class NotReversible(TypeMistake):
    code = "T101"
    message = "{type} is not reversible"
    help = "reversed() needs a sequence: a range, a tuple, a tensor, a list"


class NotAnIterator(TypeMistake):
    code = "T102"
    message = "{type} is not an iterator"
    help = "make one first, it = iter(x), and take items with next(it)"


class GeneratorElsewhere(TypeMistake):
    code = "T103"
    message = "this generator expression assigns {name} of the function that made it, and is run by another one"
    help = "run it where it was made, or return the value from the function that it calls"


class NestedGenerator(TypeMistake):
    code = "T104"
    message = "a generator expression with several `for`s {what}"
    help = "loop over it or reduce it once, or make a list of it first, list(...)"


class GeneratorOnce(TypeMistake):
    code = "T107"
    message = "the items of the generator '{function}' cannot be taken one by one here"
    help = "loop over it or reduce it once, or make a list of it first, list({function}(...))"


class RecursiveGenerator(TypeMistake):
    code = "T108"
    message = "the generator '{function}' runs itself"
    help = "append the items to a list that the function takes as a parameter, or keep a stack of what is left to do"


class IteratorEscapes(TypeMistake):
    code = "T105"
    message = "{type} cannot leave '{function}', which made it: it runs in its names"
    help = "return what it is made from, or consume it here"


class ParallelIterator(TypeMistake):
    code = "T106"
    message = "an iterator of the code around a parallel loop is advanced inside it"
    help = "iterations run in any order: make the iterator inside the loop, or index a sequence"
