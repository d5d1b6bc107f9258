"""Diagnostics about structs, type variables, protocols and overloads (family G), and more about constants (C)."""

from __future__ import annotations

from sapwood.lang.errors import ConstMistake, TypeMistake


class ProtocolMismatch(TypeMistake):
    code = "G001"
    message = "{found} does not satisfy the protocol {protocol}: {problem}"
    help = "{hint}"


class BoundViolated(TypeMistake):
    code = "G002"
    message = "type variable {name} cannot be {found}: it {limit}"
    help = "{hint}"


class NoOverload(TypeMistake, TypeError):
    code = "G003"
    message = "no overload of '{function}' takes ({found})"
    help = "its overloads are: {overloads}"

    def __reduce__(self):
        return (TypeError, (str(self),))


class AmbiguousOverload(TypeMistake, TypeError):
    code = "G004"
    message = "two overloads of '{function}' take ({found}) equally well"
    help = "convert an argument, so that one of them fits exactly: {overloads}"

    def __reduce__(self):
        return (TypeError, (str(self),))


class Unhashable(TypeMistake):
    code = "G005"
    message = "unhashable type: '{type}'"
    help = "{hint}"


class NoOrder(TypeMistake):
    code = "G006"
    message = "'{op}' is not supported between {left} and {right}"
    help = "{hint}"


class ReadOnlyProperty(TypeMistake):
    code = "G007"
    message = "property '{name}' of {type} has no setter"
    help = "add one: @{name}.setter, or assign the field behind it"


class FieldLayout(TypeMistake):
    code = "G008"
    message = "field '{field}' of the struct {type} {problem}"
    help = "{hint}"


class HostStruct(TypeMistake):
    code = "G009"
    message = "objects of {type} lie on the heap, which a kernel does not have"
    help = "pass arrays, or a struct of numbers"


class FieldStays(TypeMistake):
    code = "G010"
    message = "an object of {type} cannot be an argument from Python: it leads to a {found}, which cannot be copied in"
    help = "build such objects in compiled code, or pass the contents in a parameter of their own"


class NotAConstant(ConstMistake):
    code = "C010"
    message = "{what} gives {found}, which cannot be a constant"
    help = "{hint}"


class ComptimeFailed(ConstMistake):
    code = "C011"
    message = "the expression of comptime raised {error}"
    help = "it is run by Python when the function is compiled; it can use constants, modules and Python functions"


class ComptimeName(ConstMistake):
    code = "C012"
    message = "comptime needs '{name}' when the function is compiled, but it is {found}"
    help = "make '{name}' a Const parameter, a constant of the module, or compute it at run time without comptime"
