"""Mistakes in systems programming: atomics, C functions, inline code."""

from __future__ import annotations

from sapwood.lang.errors import ArgumentMistake, ConstMistake, TargetMistake, TypeMistake


class BadOrdering(ConstMistake):
    code = "C301"
    message = "{function}: '{ordering}' is not a memory order that it can have"
    help = "use one of {allowed}"


class BadScope(ConstMistake):
    code = "C304"
    message = "{function}: '{scope}' is not a scope"
    help = "use one of {allowed}: the threads that the order counts for"


class BadAlignment(ConstMistake):
    code = "C302"
    message = "{function}: {found} is not an alignment"
    help = "an alignment is a power of two from 1 to 4096, in bytes"


class ExternalSymbolMissing(ArgumentMistake):
    code = "A301"
    message = "external('{symbol}'): {library} has no such symbol"
    help = "check the name with nm -D, and the library that it is in"


class ExternalLibraryMissing(ArgumentMistake):
    code = "A302"
    message = "external('{symbol}'): the library '{library}' cannot be loaded: {detail}"
    help = "give the name as the system's loader knows it ('libm.so.6', 'm'), or a path"


class ExternalSignature(TypeMistake):
    code = "T301"
    message = "the C function '{symbol}' cannot be declared so: {detail}"
    help = "{hint}"


class CallbackMayRaise(TypeMistake):
    code = "T302"
    message = "'{function}' is called back from C and may raise {exception}"
    help = "an exception cannot pass through C: catch it inside, or use @fn(unchecked=True) and check yourself"


class InlineCodeFailed(TargetMistake):
    code = "X301"
    message = "LLVM does not accept the inline code: {detail}"
    help = "the text is compiled as it stands, in a process of its own; arguments are %arg0, %arg1, ..."


class InlineConstraint(ConstMistake):
    code = "C303"
    message = "inline_asm: {detail}"
    help = "constraints are LLVM's: an output first, as in '=r,r,r', then an input for each argument, then clobbers"
