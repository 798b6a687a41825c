"""Selectors as dictionaries, translated to the text that the C library parses.

    {"param": ["t", "u"], "step": range(0, 25, 6), "levelist": None, "number": ...}
    -> param in ('t', 'u') and step in 0/to/24/by/6 and not has(levelist) and has(number)

Invariant: a value never becomes syntax; texts are quoted, keys are checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from numbers import Integral, Real
from typing import Any

import numpy as np

from . import _core, errors

__all__ = ["Selector", "check_selector", "selector_text"]

Selector = str | Mapping[str, Any] | None
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


def selector_text(selector: Selector) -> str:
    """
    A selector as text: a text is taken as it is, None is everything, a dictionary is translated.

    In a dictionary every entry must hold: a single value is equality, a list (tuple, set, array) is any of its values, a range
    its numbers, None "has no such attribute", ``...`` "has the attribute".

    Raises
    ------
    SelectorError
        A key is no attribute name, a list is empty, or a value cannot be compared with attributes.

    Examples
    --------
    >>> selector_text({"param": ["t", "u"], "step": range(0, 25, 6), "levelist": None})
    "param in ('t', 'u') and step in 0/to/24/by/6 and not has(levelist)"
    """
    if selector is None:
        return ""
    if isinstance(selector, str):
        return selector
    if isinstance(selector, Mapping):
        return " and ".join(_clause(key, value) for key, value in selector.items())
    raise TypeError(f"a selector is a text, a dictionary or None, not {type(selector).__name__}")


def check_selector(selector: Selector, schema: str | None = None) -> None:
    """
    Check a selector against a schema, without a pool.

    Parameters
    ----------
    selector : str, dict or None
        As for `Session.demand`.
    schema : str, optional
        A built-in name ("mars") or a YAML file; default is the core schema.

    Raises
    ------
    SelectorError, AttributeKeyError, AttributeTypeError, AttributeValueError
        The message points at the character and says what was expected.

    Examples
    --------
    >>> maestro.check_selector("param in (t, u) and step <= 24", schema="mars")
    """
    _core.check_selector(schema, selector_text(selector))


def _clause(key: str, value: Any) -> str:
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise _error(f"{key!r} is no attribute name")
    if value is None:
        return f"not has({key})"
    if value is ...:
        return f"has({key})"
    if isinstance(value, range):
        return f"{key} in {_range(key, value)}"
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.dtype.kind != "M" else list(value)
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        literals = [_literal(key, one) for one in value]
        if not literals:
            raise _error(f"'{key}' has an empty list, which nothing matches")
        return f"{key} in ({', '.join(literals)})"
    return f"{key} = {_literal(key, value)}"


def _range(key: str, numbers: range) -> str:
    if not numbers:
        raise _error(f"'{key}' has an empty range, which nothing matches")
    return f"{numbers[0]}/to/{numbers[-1]}/by/{abs(numbers.step)}"


def _literal(key: str, value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (date, np.datetime64)):
        return f"'{_moment(value)}'"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real) and np.isfinite(value):
        return repr(float(value))
    raise _error(f"'{key}' is compared with {value!r}; give a bool, int, finite float, str, datetime, a list, a range, None or ...")


def _moment(value: date | np.datetime64) -> str:
    """A date or a time in UTC as ISO 8601; a naive datetime is taken as UTC."""
    if isinstance(value, np.datetime64):
        return value.astype("M8[us]").item().isoformat()
    if isinstance(value, datetime) and value.tzinfo:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat()


def quoted(text: str) -> str:
    """A text as a selector writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _error(cause: str) -> Exception:
    return errors.SelectorError(f"selector: {cause}")
