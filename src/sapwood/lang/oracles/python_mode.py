"""The two oracles of a compiled function: its body run by CPython, and its SSA run by the evaluator.

`run_python` runs the very code object, so that breakpoints and profilers work; numbers of the machine's types
are boxed (boxed.py), memory is wrapped (python_memory.py), and the compiled functions that the body names are run the
same way. `run_reference` runs the typed SSA on the real memory of the arguments.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from functools import partial
from types import CellType, FunctionType, ModuleType
from typing import Any, TypeVar

from sapwood.lang import types as ty
from sapwood.lang.api.dtypes import dtype_of
from sapwood.lang.border.arguments import (
    ComplexArg,
    ConstArg,
    HeapArg,
    NativeArg,
    ObjectArg,
    PointerArg,
    RecordArg,
    ScalarArg,
    StructArg,
    TensorArg,
    TupleArg,
    as_array,
)
from sapwood.lang.border.heap_border import Reader, Writer
from sapwood.lang.border.parameters import flatten, spread, spread_names, star_index
from sapwood.lang.border.results import ResultShape, restore, write_back
from sapwood.lang.declared import Declared
from sapwood.lang.errors import Loc
from sapwood.lang.infer.interpreter import Interpreter
from sapwood.lang.ir.ssa import Program
from sapwood.lang.ops.heap import drop_word, end_reference
from sapwood.lang.ops.numeric import round_float
from sapwood.lang.ops.pointer import Block, Pointer
from sapwood.lang.oracles.boxed import Boxed, box
from sapwood.lang.oracles.python_builtins import BUILTINS, is_math, math_function
from sapwood.lang.oracles.python_memory import PythonPointer, PythonTensor
from sapwood.lang.recursion import deeply
from sapwood.lang.signatures import declared_parameters
from sapwood.lang.types import I64, Ref
from sapwood.lang.values import Spec
from sapwood.runtime.array import Array

# -- CPython -------------------------------------------------------------------------------------------


def run_python(fn: Any, values: list[Any]) -> Any:
    """Run the body of `fn` in CPython. Arguments are those of a call; the result is plain Python.

    Raises what a call would raise for arguments that do not fit.
    """
    arguments = fn.state.classify(values)
    boxed = [_box(a, v) for a, v in zip(arguments, values, strict=True)]
    declared = spread(declared_parameters(fn), fn.state.star, len(values))
    body = _in_python(fn, _dtypes(declared, arguments))
    result = _call(body, boxed)
    for argument, value, seen in zip(arguments, values, boxed, strict=True):
        if isinstance(argument, StructArg | TupleArg) and argument.mutable:
            write_back(argument, value, _plain(seen))
    return _plain(result)


def _call(body: FunctionType, values: list[Any]) -> Any:
    signature = inspect.signature(body)
    parameters = spread(list(signature.parameters.values()), star_index(signature), len(values))
    pairs = list(zip(parameters, values, strict=True))
    keywords = {p.name: v for p, v in pairs if p.kind is p.KEYWORD_ONLY}
    return body(*(v for p, v in pairs if p.kind is not p.KEYWORD_ONLY), **keywords)


def _in_python(fn: Any, dtypes: dict[TypeVar, Any]) -> FunctionType:
    """The function's code, with names that lead to compiled functions and type variables redirected."""
    python: FunctionType = fn.__wrapped__

    def redirect(x: Any) -> Any:
        if isinstance(x, TypeVar):
            return dtypes.get(x, x)
        if hasattr(type(x), "__sapwood_function__"):
            return _Nested(x)
        if isinstance(x, ModuleType):
            return _Names(x, redirect)
        if is_math(x):
            return math_function(x, fn.options.unchecked, _Nested)
        return x

    # of a script, `__builtins__` is a module, which Python itself reads
    names = BUILTINS | {k: v if k == "__builtins__" else redirect(v) for k, v in python.__globals__.items()}
    cells = tuple(_redirected(c, redirect) for c in python.__closure__ or ())
    body = FunctionType(python.__code__, names, python.__name__, python.__defaults__, cells or None)
    body.__kwdefaults__ = python.__kwdefaults__
    return body


def _redirected(cell: CellType, redirect: Callable[[Any], Any]) -> CellType:
    try:
        return CellType(redirect(cell.cell_contents))
    except ValueError:  # not assigned yet
        return cell


class _Names:
    """A module, whose compiled functions are run by CPython like those that a body names directly."""

    def __init__(self, module: ModuleType, redirect: Callable[[Any], Any]) -> None:
        self.__module, self.__redirect = module, redirect

    def __getattr__(self, name: str) -> Any:
        return self.__redirect(getattr(self.__module, name))


class _Nested:
    """A compiled function called from a body that CPython runs: it is run by CPython, too."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn

    def __getitem__(self, sizes: Any) -> Callable[..., None]:
        return partial(self._launch, self.fn[_plain(sizes)])

    def launch(self, **options: Any) -> Callable[..., None]:
        return partial(self._launch, self.fn.launch(**{name: _plain(x) for name, x in options.items()}))

    def _launch(self, launch: Any, *args: Any, **kwargs: Any) -> None:
        """A kernel is launched as from anywhere in Python."""
        bound = inspect.signature(self.fn.__wrapped__).bind(*args, **kwargs)
        declared = dict(zip(bound.signature.parameters, declared_parameters(self.fn), strict=True))
        for name, x in bound.arguments.items():
            typed = isinstance(x, Boxed) and declared[name].kind != "scalar"  # a parameter of any type gets that type
            bound.arguments[name] = x if typed else _plain(x)
        launch(*bound.args, **bound.kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature = inspect.signature(self.fn.__wrapped__)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = flatten(list(bound.arguments.values()), star_index(signature))
        declared = spread(declared_parameters(self.fn), star_index(signature), len(given))
        values: list[Any] = []
        shared: dict[TypeVar, Any] = {}  # the types of numbers that type variables are bound to
        for d, v in zip(declared, given, strict=True):
            values.append(_convert(d, v, shared))
        dtypes: dict[TypeVar, Any] = {}
        for d, v in zip(declared, values, strict=True):
            if d.args and isinstance(d.args[0], TypeVar):
                dtypes.setdefault(d.args[0], getattr(v, "dtype", type(v)))
        return _call(_in_python(self.fn, dtypes), values)


def _convert(declared: Declared, x: Any, shared: dict[TypeVar, Any]) -> Any:
    if declared.kind == "typevar":
        if isinstance(x, Boxed):
            shared.setdefault(declared.args[0], x.type)
        elif isinstance(x, int | float) and declared.args[0] in shared:  # a literal follows
            return Boxed(shared[declared.args[0]], x)
    if declared.kind == "scalar" and isinstance(x, Boxed | int | float):
        return box(declared.args[0], Boxed(declared.args[0], x).value)
    return x


def _dtypes(declared: list[Declared], arguments: list[Any]) -> dict[TypeVar, Any]:
    """What the type variables of the parameters are bound to."""
    out: dict[TypeVar, Any] = {}
    for d, a in zip(declared, arguments, strict=True):
        if d.kind == "typevar" and isinstance(a, ScalarArg):
            out.setdefault(d.args[0], dtype_of(a.scalar))
        elif d.kind == "tensor" and isinstance(a, TensorArg):
            if isinstance(d.args[0], TypeVar):
                out.setdefault(d.args[0], dtype_of(a.elem))
            if isinstance(d.args[1], TypeVar):
                out.setdefault(d.args[1], a.rank)
    return out


def _box(argument: Any, x: Any) -> Any:
    match argument:
        case ScalarArg(scalar=scalar):
            return box(scalar, _leaf(argument, x, scalar))
        case TensorArg():
            return PythonTensor(as_array(x, TypeError))  # type: ignore[arg-type]
        case ComplexArg(type=kind):
            return dtype_of(kind)(complex(x))
        case PointerArg():
            return PythonPointer(Pointer(Block(int(x), None), 0, argument.elem))
        case TupleArg(items=items):
            return tuple(_box(a, v) for a, v in zip(items, x, strict=True))
        case StructArg(cls=cls, fields=fields):
            out = object.__new__(cls)
            for name, a in fields:
                object.__setattr__(out, name, _box(a, getattr(x, name)))
            return out
        case HeapArg() | ObjectArg():
            return x
        case RecordArg():
            import numpy as np

            return x.view(np.recarray)
        case ConstArg(known=known):
            v = known.value
            return _Nested(v) if hasattr(type(v), "__sapwood_function__") else v
    raise TypeError(f"{argument} has no form in Python")


def _plain(x: Any) -> Any:
    match x:
        case Boxed(type=ty.Complex()):
            return complex(x)  # type: ignore[call-overload]
        case Boxed():
            return x.value
        case tuple():
            return tuple(map(_plain, x))
        case PythonTensor():
            return x.array
    info = getattr(type(x), "__sapwood_struct__", None)
    if info is None:
        return x
    out = object.__new__(type(x))
    for name in info.annotations():
        object.__setattr__(out, name, _plain(getattr(x, name)))
    return out


# -- the evaluator -------------------------------------------------------------------------------------


def run_reference(fn: Any, values: list[Any], on_line: Callable[[Loc], None] | None = None) -> Any:
    """Run `fn` in the reference evaluator, on the memory of the arguments; gives what a call gives.

    `on_line(loc)` is called whenever the source line changes. Raises what a call would raise, and
    StepLimitExceeded when the evaluator runs for too long.
    """
    from sapwood.lang.oracles.evaluate import Evaluator

    program, shape, arguments, mutated, leaves, owners = prepare_reference(fn, values)
    evaluator = Evaluator(on_line)
    out = evaluator.function(program.entry, leaves)
    flat = [_taken(t, v) for t, v in zip(program.entry.results, out, strict=True)]
    known = next((o.made for o in owners if isinstance(o, Writer)), None)
    reader = Reader(known, lambda address: end_reference(evaluator, address))
    memory = tuple(o for o in owners if not isinstance(o, Writer))
    return restore(shape, arguments, mutated, iter(flat), memory, values, reader)


def _taken(t: Any, value: Any) -> Any:
    """A result of the evaluator; of an object, the object, whose reference is given up."""
    if not isinstance(t, Ref):
        return value
    out = ctypes.cast(value.address, ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(value.address))
    return out


def prepare_reference(fn: Any, values: list[Any]) -> Any:
    """(program, shape of the result, arguments, mutated ones, the entry's leaves, owners of memory).

    Raises what a call would raise for arguments that do not fit.
    """
    arguments = fn.state.classify(values)
    program, shape, mutated = _program(fn, arguments)
    owners: list[Any] = []
    leaves: list[Any] = []
    table = program.entry.attrs.get("heap")
    roots = iter(() if table is None else table[1])
    if table is not None:
        from sapwood.lang.oracles.evaluate import Evaluator

        drops = [drop_word(f) for f in table[2]]
        owners.append(Writer(table[0], drops, lambda address: end_reference(Evaluator(None), address)))
    names = spread_names(fn.state.signature, len(values))
    for name, argument, value in zip(names, arguments, values, strict=True):
        at = len(leaves)
        if isinstance(argument, HeapArg):
            leaves.append(owners[0].write(next(roots), value))
            continue
        leaves += _leaves(argument, value, owners)
        if isinstance(argument, TensorArg) and at in program.entry.written and owners[-1].readonly:
            from sapwood.lang.loading.specialisation import read_only

            raise read_only(fn, name)
    return program, shape, arguments, mutated, tuple(leaves), owners


@deeply
def _program(fn: Any, arguments: list[Any]) -> tuple[Program, ResultShape, tuple[int, ...]]:
    """The checked program for arguments of these kinds, made once."""
    from sapwood.lang import pipeline

    target = _target(fn.options.kernel)
    key = (tuple(arguments), target.key)
    found = fn.state.programs.get(key)
    if found is None:
        interpreter = Interpreter(target)
        interpreter.kernel = fn if fn.options.kernel else None
        found = pipeline.infer_entry(interpreter, fn, arguments, fn.__wrapped__.__name__)
        pipeline.check(found[0], target)
        fn.state.programs[key] = found
    return found


def _target(kernel: bool) -> Any:
    """That of compiled code, so that both see the same vector width; any platform has some."""
    from sapwood.lang.loading.current_target import current_target, kernel_target
    from sapwood.lang.oracles.evaluate import reference_target
    from sapwood.targets.errors import UnsupportedPlatform

    try:
        return kernel_target() if kernel else current_target()
    except UnsupportedPlatform:
        return reference_target()


def _leaf(argument: ScalarArg, x: Any, scalar: Any) -> Any:
    """The evaluator's value of a scalar argument."""
    if isinstance(x, Boxed):
        return x.value
    if scalar.kind == "bool":
        return bool(x)
    return round_float(scalar, float(x)) if scalar.is_float else x.__index__()


def _leaves(argument: Any, x: Any, owners: list[Any]) -> list[Any]:
    match argument:
        case ScalarArg():
            return [_leaf(argument, x, argument.scalar)]
        case PointerArg():
            return [int(x)]
        case RecordArg():
            return argument.flatten(x)
        case ComplexArg(type=kind):
            return [round_float(kind.elem, v) for v in (complex(x).real, complex(x).imag)]
        case TensorArg():
            array = as_array(x, TypeError)  # type: ignore[arg-type]
            owners.append(array)
            return [memory_of(array, argument.elem), *array.shape, *array.strides]
        case ObjectArg():
            owners.append(x)
            return [Pointer(Block(id(x), None, x), 0, I64)]
        case NativeArg(spec=spec):
            target = spec.data.target
            parts = [p for n in ("elem", "key", "value") if isinstance(p := getattr(target, n, None), Spec)]
            if any(isinstance(leaf, Ref) for p in parts for leaf in p.leaves()):
                raise TypeError("the evaluator takes native containers of numbers only")
            owners.append(x)
            return [x.address]
        case TupleArg(items=items):
            return [leaf for a, v in zip(items, x, strict=True) for leaf in _leaves(a, v, owners)]
        case StructArg(fields=fields):
            return [leaf for n, a in fields for leaf in _leaves(a, getattr(x, n), owners)]
    return []


def memory_of(array: Array, elem: Any) -> Pointer:
    """A pointer to the first element of an array that knows how far the array's memory reaches."""
    size = array.dtype.itemsize
    if 0 in array.shape:
        return Pointer(Block(array.data_ptr, 0, array), 0, elem)
    reach = [(n - 1) * s * size for n, s in zip(array.shape, array.strides, strict=True)]
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
    return Pointer(Block(array.data_ptr + low, high - low + size, array), -low, elem)
