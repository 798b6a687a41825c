"""Columns of attribute values: what people give for many objects, in the forms that _core takes.

Invariant: nothing is converted silently from one type to another; a column that mixes types is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _core, errors

__all__ = ["prepare"]

# dtype kind -> type in C, dtype there
FORMS = {
    "i": (_core.MAESTRO_TYPE_I64, "i8"),
    "u": (_core.MAESTRO_TYPE_I64, "i8"),
    "f": (_core.MAESTRO_TYPE_F64, "f8"),
    "b": (_core.MAESTRO_TYPE_BOOL, "?"),
    "M": (_core.MAESTRO_TYPE_TIMESTAMP, "M8[ns]"),
}


def prepare(payloads: Any, attributes: Mapping[str, Any]) -> tuple[int, list, Any]:
    """The number of objects, the columns as (key, type, constant, values), and the payloads as a list, an array or None."""
    columns = [_column(key, values) for key, values in attributes.items() if values is not None]
    payloads, layout = _payloads(payloads)
    columns += layout
    lengths = {f"'{key}'": len(values) for key, _, constant, values in columns if not constant}
    if payloads is not None:
        lengths["payloads"] = len(payloads)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise errors.ArgumentError(f"offer many: columns differ in length: {told}")
    if not lengths:
        raise errors.ArgumentError("offer many: no column and no payloads say how many objects there are; use offer for one")
    return next(iter(lengths.values())), columns, payloads


# ---- One column
def _column(key: str, values: Any) -> tuple[str, int, bool, Any]:
    if isinstance(values, str):
        return key, _core.MAESTRO_TYPE_STRING, True, [values]
    constant = np.ndim(values) == 0 if not isinstance(values, list) else False
    values = values if isinstance(values, (list, np.ndarray)) else [values] if constant else list(values)
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        values = values.tolist() if values.ndim else [values.item()]
    if isinstance(values, list) and values and isinstance(values[0], str):
        return key, _core.MAESTRO_TYPE_STRING, constant, _texts(key, values)
    kind, array = _numbers(key, values)
    return key, kind, constant, array


def _texts(key: str, values: list) -> list[str]:
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise errors.AttributeTypeError(f"offer many: column '{key}' has texts, but its value {number} is {value!r}")
    return values


def _numbers(key: str, values: Any) -> tuple[int, np.ndarray]:
    array = _naive(values)
    if array.dtype.kind not in FORMS:
        raise errors.AttributeTypeError(
            f"offer many: column '{key}' has values of type {_mixture(values)}; give all bools, ints, floats, texts or timestamps "
            "(objects in which an attribute is absent go into a call of their own)"
        )
    if array.ndim > 1:
        raise errors.ArgumentError(f"offer many: column '{key}' has {array.ndim} dimensions; a column has one")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo("i8").max:
        raise errors.AttributeValueError(f"offer many: column '{key}' has values that do not fit into 64 bits with sign")
    kind, dtype = FORMS[array.dtype.kind]
    array = np.ascontiguousarray(array, dtype)
    return kind, array.view("i8") if dtype == "M8[ns]" else array


def _naive(values: Any) -> np.ndarray:
    """The values as an array; aware datetimes are brought to UTC, for numpy's have no zone."""
    import datetime

    if isinstance(values, list) and values and isinstance(values[0], datetime.datetime):
        values = [np.datetime64(v.astimezone(datetime.UTC).replace(tzinfo=None) if v.tzinfo else v) for v in values]
    elif isinstance(values, list) and len({type(value) is bool for value in values}) > 1:
        return np.asarray(values, object)  # numpy would make numbers of the bools
    return np.asarray(values)


def _mixture(values: Any) -> str:
    return " and ".join(sorted({type(value).__name__ for value in np.asarray(values, object).flat}))


# ---- Payloads
def _payloads(payloads: Any) -> tuple[Any, list]:
    """Contiguous payloads, and the columns that describe arrays among them."""
    if payloads is None:
        return None, []
    if isinstance(payloads, np.ndarray):
        if payloads.ndim == 0:
            raise errors.ArgumentError("offer many: the array of payloads has no axis; its first axis are the objects")
        array = np.ascontiguousarray(payloads)
        one = array[:1].reshape(array.shape[1:]) if len(array) else np.empty(array.shape[1:], array.dtype)
        return array, [(key, _core.MAESTRO_TYPE_STRING, True, [text]) for key, text in _layout(one)]
    payloads = [np.ascontiguousarray(p) if isinstance(p, np.ndarray) and not p.flags.forc else p for p in payloads]
    arrays = sum(isinstance(p, np.ndarray) for p in payloads)
    if arrays == 0:
        return payloads, []
    if arrays < len(payloads):
        raise errors.ArgumentError("offer many: payloads are arrays in part; give arrays alone or bytes alone")
    layouts = [dict(_layout(p)) for p in payloads]
    if len({len(layout) for layout in layouts}) > 1:  # some are in Fortran's order, which C's order leaves out
        payloads = [np.ascontiguousarray(p) for p in payloads]
        layouts = [dict(_layout(p)) for p in payloads]
    return payloads, [(key, _core.MAESTRO_TYPE_STRING, False, [layout[key] for layout in layouts]) for key in layouts[0]]


def _layout(array: np.ndarray) -> list[tuple[str, str]]:
    described = [("maestro.dtype", _core.dtype_text(array)), ("maestro.shape", ",".join(map(str, array.shape)))]
    if array.ndim > 1 and not array.flags.c_contiguous:
        described.append(("maestro.order", "F"))
    return described
