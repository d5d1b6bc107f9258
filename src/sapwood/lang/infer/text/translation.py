"""`str.translate`, `str.maketrans`, `bytes.translate` and `bytes.maketrans`."""

from __future__ import annotations

from typing import Any

from sapwood.lang import types as ty
from sapwood.lang.errors import BadOperand
from sapwood.lang.infer.containers import dicts
from sapwood.lang.infer.containers.dicts import is_dict, new_dict, target_of
from sapwood.lang.infer.text.bytes_rules import as_bytes
from sapwood.lang.infer.text.strings import as_text, call
from sapwood.lang.ir.ssa import Var
from sapwood.lang.join import join
from sapwood.lang.types import I64
from sapwood.lang.values import Known, Spec, Value, describe

NONE = Known(None)
INT, TEXT = Spec("leaf", I64), Spec("leaf", ty.Ref(ty.Str()))


def _is_code_or_text(s: Spec) -> bool:
    """Whether a table may hold such values: ints, texts, or None beside them."""
    if s == Spec("known", NONE):
        return True
    if s.kind == "agg" and isinstance(s.data, ty.Optional):
        s = s.items[1]
    return s in (INT, TEXT, Spec("leaf", ty.Ref(ty.Str(), True)))


def translate(w: Any, s: Value, table: Value) -> Value:
    from sapwood.lang.library.translation import text_translate

    if not is_dict(table):
        hint = "str.maketrans makes one"
        raise BadOperand(w.b.loc, function="translate", detail=f"needs a dict, not {describe(table)}", hint=hint)
    assert isinstance(table, Var)
    if dicts.is_empty(table):
        return s
    t = target_of(table)
    if t.key != INT or not _is_code_or_text(t.value):
        hint = "keys are code points, values code points, texts or None: str.maketrans makes such a dict"
        raise BadOperand(w.b.loc, function="translate", detail=f"needs a table, not {describe(table)}", hint=hint)
    return call(w, text_translate, s, table)


def text_table(w: Any, x: Value, y: Value | None, z: Value | None) -> Value:
    """`str.maketrans`"""
    from sapwood.lang.library import translation

    if y is not None:
        d = new_dict(w, INT, INT if z is None else join(INT, Spec("known", NONE)))
        call(w, translation.table_of_texts, d, as_text(w, x, "maketrans"), as_text(w, y, "maketrans"))
        if z is not None:
            call(w, translation.table_deletes, d, as_text(w, z, "maketrans"))
        return d
    if not is_dict(x):
        hint = "pass a dict, or two texts of one length"
        raise BadOperand(w.b.loc, function="maketrans", detail=f"needs a dict, not {describe(x)}", hint=hint)
    assert isinstance(x, Var)
    t = target_of(x)
    if not dicts.is_empty(x) and t.key not in (INT, TEXT):
        hint = "keys are code points, or texts of one character"
        raise BadOperand(w.b.loc, function="maketrans", detail=f"cannot use keys of {describe(t.key)}", hint=hint)
    if dicts.is_empty(x):
        return dicts.copy(w, x)
    d = new_dict(w, INT, t.value)
    call(w, translation.table_of_dict, d, x)
    return d


def translate_bytes(w: Any, s: Var, table: Value, delete: Value) -> Value:
    from sapwood.lang.library.translation import bytes_translate

    found = table if table == NONE else as_bytes(w, table, "translate")
    return call(w, bytes_translate, s, found, as_bytes(w, delete, "translate"))


def bytes_table(w: Any, x: Value, y: Value) -> Value:
    """`bytes.maketrans`"""
    from sapwood.lang.library import translation

    if isinstance(x, Known) and isinstance(y, Known) and isinstance(x.value, bytes) and isinstance(y.value, bytes):
        if len(x.value) == len(y.value):
            return Known(bytes.maketrans(x.value, y.value))
    return call(w, translation.bytes_table, as_bytes(w, x, "maketrans"), as_bytes(w, y, "maketrans"))
