"""Lists and ranges in MARS form, expanded: `500/850`, `0/to/24/by/6`, `20240131/to/20240202`.

Pure text and numbers, no files, no fields. The step of a range is 12 for steps when not given, as in MARS, and 1 elsewhere;
dates count in days and cross the ends of months.
"""

from __future__ import annotations

from datetime import datetime, timedelta

DEFAULT_BY = {"step": 12}
IDENTITY = ("class", "stream", "type", "expver", "date", "time", "levtype", "levelist", "param", "step", "number")


def expand(key: str, value) -> list:
    """Every value that a MARS `value` of `key` stands for, in order; numbers become int or float, the rest stays text."""
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in expand(key, part)]
    words = str(value).split("/")
    lowered = [word.strip().lower() for word in words]
    if "to" not in lowered:
        return [scalar(key, word) for word in words]
    if lowered.index("to") != 1 or len(words) not in (3, 5) or (len(words) == 5 and lowered[3] != "by"):
        raise ValueError(f"'{value}' is no range of {key}: expected from/to/end or from/to/end/by/n")
    by = float(words[4]) if len(words) == 5 else DEFAULT_BY.get(key, 1)
    if by <= 0:
        raise ValueError(f"'{value}': the step of a range must be above 0, not {words[4]}")
    return _dates(words[0], words[2], by) if key == "date" else _numbers(key, words[0], words[2], by)


def scalar(key: str, text):
    """One value of `key` in its canonical form (param, expver and names stay text, step and levels become numbers)."""
    text = str(text).strip()
    if key == "time":
        return text.zfill(2).ljust(4, "0") if len(text) <= 2 else text.zfill(4)
    if key == "expver":
        return text.zfill(4)
    if key == "date":
        return text.replace("-", "")
    if key not in ("step", "number", "levelist", "iteration"):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def hours(step: str) -> int:
    """A step with or without unit (6, 30m, 2d) in whole hours, as the MARS schema has it; parts of an hour are cut off."""
    unit = {"s": 1 / 3600, "m": 1 / 60, "h": 1, "d": 24}.get(step[-1:])
    return int(float(step[:-1]) * unit + 1e-9) if unit else int(float(step))


def _numbers(key: str, first: str, last: str, by: float) -> list:
    a, b = scalar(key, first), scalar(key, last)
    if isinstance(a, str) or isinstance(b, str):
        raise ValueError(f"'{first}/to/{last}' is no range of {key}: the ends must be numbers")
    count = int(abs(b - a) / by + 1e-9) + 1
    values = [a + (by if b >= a else -by) * i for i in range(count)]
    return [int(v) if float(v).is_integer() else v for v in values]


def _dates(first: str, last: str, by: float) -> list[str]:
    try:
        a, b = (datetime.strptime(text.strip().replace("-", ""), "%Y%m%d") for text in (first, last))
    except ValueError:
        raise ValueError(f"'{first}/to/{last}' is no range of dates: the ends must be yyyymmdd") from None
    stride = timedelta(days=by if b >= a else -by)
    return [(a + stride * i).strftime("%Y%m%d") for i in range(int(abs((b - a).days) / by) + 1)]


def describe(keys: dict) -> str:
    """Short text of a field's keys for messages: `t pl 500 step 6 number 1`."""
    parts = [str(keys.get("param", "?")), str(keys.get("levtype", ""))]
    parts += [str(keys["levelist"])] if keys.get("levelist") is not None else []
    parts += [f"{key} {keys[key]}" for key in ("step", "number") if keys.get(key) is not None]
    parts += [f"message {keys['iteration']}"] if "iteration" in keys else []
    return " ".join(part for part in parts if part)
