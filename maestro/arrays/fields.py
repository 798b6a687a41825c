"""What the elements of a field are, on both sides of a plan: numpy's words for what C calls maestro_element_t and maestro_field_t."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core, errors

__all__ = ["Field"]

DType = Any  # what numpy.dtype takes
# Types whose values can be converted; in the machine's byte order.
CONVERTIBLE = {
    np.dtype("i4"): _core.MAESTRO_I32,
    np.dtype("i8"): _core.MAESTRO_I64,
    np.dtype("f4"): _core.MAESTRO_F32,
    np.dtype("f8"): _core.MAESTRO_F64,
    np.dtype("c8"): _core.MAESTRO_C64,
    np.dtype("c16"): _core.MAESTRO_C128,
}


@dataclass(frozen=True)
class Field:
    """
    A field of a plan whose elements are not moved as they are: ``target = scale * source``, or of the source's conjugate.

    Attributes
    ----------
    source : dtype
        Of the source's arrays: int32, int64, float32, float64, complex64 or complex128.
    target : dtype, optional
        Of the target's arrays, of the same kinds; default is the source's.  Real values become complex ones, not the reverse; floating
        ones become integers by truncation, and what an integer cannot hold is undefined.
    scale : float or complex
        A complex one is for complex targets alone.
    conjugate : bool
        The source, before it is scaled.

    Examples
    --------
    >>> maestro.Field("f8", "f4", scale=0.5)
    Field(source='f8', target='f4', scale=0.5, conjugate=False)
    """

    source: DType
    target: DType = None
    scale: complex = 1
    conjugate: bool = False


def dtypes_of(field: Field) -> tuple[np.dtype, np.dtype]:
    """Of source and target."""
    source = np.dtype(field.source)
    return source, source if field.target is None else np.dtype(field.target)


def moves_as_is(field: Field) -> bool:
    """Whether the target's bytes are the source's."""
    source, target = dtypes_of(field)
    return source == target and field.scale == 1 and not field.conjugate


def fields_of(given: DType | Field | Sequence[DType | Field], max_fields: int | None) -> list[Field]:
    """One for each field of a plan: of a list its own, else as many as `max_fields` says, all alike."""
    several = isinstance(given, list | tuple) and not is_structure(given)
    fields = [one if isinstance(one, Field) else Field(one) for one in (given if several else [given])]
    count = len(fields) if max_fields is None else max_fields
    if several and (not fields or count != len(fields)):
        raise errors.ArgumentError(
            f"redistribute: {len(fields)} fields in dtype and max_fields={max_fields}; a list says how many there are"
        )
    if not 1 <= count < 2**31:
        raise errors.ArgumentError(f"make a plan: max_fields is {max_fields}; it may be 1 or more")
    for dtype in (dtype for field in fields for dtype in dtypes_of(field)):
        check_elements(dtype)
    return fields if several else fields * count


def check_elements(dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise errors.ArgumentError(f"make a plan: dtype {dtype} has Python objects, which mean nothing to other ranks")
    if dtype.itemsize not in (1, 2, 4, 8, 16):
        remedy = "they may have 1, 2, 4, 8 or 16: make a dimension of what is in one"
        raise errors.ArgumentError(f"make a plan: elements of dtype {dtype} have {dtype.itemsize} bytes; {remedy}")


def is_structure(given: Sequence[Any]) -> bool:
    """Whether a list is numpy's description of a structure, [(name, type), ...]."""
    return isinstance(given, list) and given != [] and all(isinstance(one, tuple) for one in given)


def elements(field: Field) -> tuple[int, int, complex, bool]:
    """The field as C takes it: elements of both sides, scale, whether the source is conjugated."""
    source, target = dtypes_of(field)
    if moves_as_is(field):
        return source.itemsize, target.itemsize, 1, False
    for dtype in (source, target):
        if dtype not in CONVERTIBLE:
            known = ", ".join(map(str, CONVERTIBLE))
            raise errors.ArgumentError(
                f"redistribute: values of dtype {dtype} are not converted, scaled or conjugated; those of {known} are"
            )
    return CONVERTIBLE[source], CONVERTIBLE[target], complex(field.scale), field.conjugate
