"""Whether two selectors can select an object in common, decided by the attribute values that both fix.

A selector becomes boxes, of which an object must be in one: for each attribute the conditions that all must hold. The answer errs to
one side only: what is said not to meet cannot meet; what cannot be decided is said to meet.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from itertools import product

from .. import _core
from ..errors import MaestroError
from ..selectors import Selector, selector_text

BOXES_MAX = 512  # more of them are taken together as one without conditions
VALUES_MAX = 4096  # of a range with a stride, for listing its values

Box = dict[str, list[dict]]  # conditions by attribute
ABSENT = {"op": "absent"}
ANYTHING: Box = {}


@dataclass(frozen=True)
class Selection:
    """A parsed selector."""

    text: str
    given: str | None  # the schema as it was given,
    schema: str | None  # and its name; None: it mentions core attributes alone, and so applies to objects of every schema
    boxes: tuple[Box, ...]

    def meets(self, other: Selection) -> bool:
        """Whether an object can be in both."""
        if self.schema and other.schema and self.schema != other.schema:
            return False
        return any(_meet(mine, theirs) for mine in self.boxes for theirs in other.boxes)

    def unused(self, users: list[Selection]) -> dict[str, list]:
        """By attribute, the values which this selector lists and with which none of the users can select an object."""
        found: dict[str, list] = {}
        for box in self.boxes:
            for key in box:
                values = [one for one in listed(box[key]) if not any(user._selects(self.schema, box, key, one) for user in users)]
                if values:
                    found[key] = sorted({*found.get(key, ()), *values})
        return found

    def _selects(self, schema: str | None, box: Box, key: str, value) -> bool:
        narrow = Selection("", None, schema, ({**box, key: [{"op": "in", "values": [value]}]},))
        return self.meets(narrow)


def selection(selector: Selector, schema: str | None) -> Selection:
    """Parse a selector over a schema (a built-in name or a file); raises what `maestro.check_selector` does."""
    text = selector_text(selector)
    parsed = _core.selector_tree(schema, text)
    boxes = tuple(_boxes(parsed["tree"], False))
    return Selection(text, schema, None if parsed["core_only"] else parsed["schema"], boxes if len(boxes) <= BOXES_MAX else (ANYTHING,))


def first_selection(selector: Selector, schemas: list[str | None]) -> Selection:
    """Parse a selector over the first of several schemas that knows its attributes; the error is that of the first one."""
    first = None
    for schema in schemas:
        try:
            return selection(selector, schema)
        except MaestroError as error:
            first = first or error
    raise first


def listed(conditions: list[dict]) -> list:
    """The values that an attribute with these conditions can have, as far as they are listed."""
    if _has_several_values(conditions):
        return []
    for condition in conditions:
        values = _values(condition)
        if values is not None:
            return [value for value in values if all(_holds(other, value) for other in conditions)]
    return []


# ---- From tree to boxes


def _boxes(part: dict, negated: bool) -> list[Box]:
    op = part["op"]
    if op == "true":
        return [] if negated else [ANYTHING]
    if op == "not":
        return _boxes(part["of"][0], not negated)
    if op in ("and", "or"):
        inner = [_boxes(one, negated) for one in part["of"]]
        return _together(inner) if (op == "and") != negated else [box for boxes in inner for box in boxes]
    return [_leaf(part, negated)]


def _together(alternatives: list[list[Box]]) -> list[Box]:
    count = 1
    for boxes in alternatives:
        count *= len(boxes)
    if count > BOXES_MAX:
        return [ANYTHING]
    return [_join(chosen) for chosen in product(*alternatives)]


def _join(boxes: tuple[Box, ...]) -> Box:
    joined: Box = {}
    for box in boxes:
        for key, conditions in box.items():
            joined[key] = [*joined.get(key, ()), *conditions]
    return joined


def _leaf(part: dict, negated: bool) -> Box:
    """A condition; of negated ones, which an absent attribute meets, those that exclude values."""
    key, op = part["key"], part["op"]
    if not negated:
        return {key: [part]}
    if op == "has":
        return {key: [ABSENT]}
    return {key: [{"op": "not in", "values": part["values"]}]} if op == "in" else ANYTHING


# ---- Conditions on one attribute


def _meet(mine: Box, theirs: Box) -> bool:
    return all(_possible([*mine.get(key, ()), *theirs.get(key, ())]) for key in {*mine, *theirs})


def _possible(conditions: list[dict]) -> bool:
    """Whether a value, or none, can meet all conditions; of several values each condition may be met by another one."""
    if ABSENT in conditions:
        return all(condition["op"] in ("absent", "not in") for condition in conditions)
    if _has_several_values(conditions):
        return True
    for condition in conditions:
        values = _values(condition)
        if values is not None:
            return any(all(_holds(other, value) for other in conditions) for value in values)
    ranges = [condition for condition in conditions if condition["op"] == "range"]
    return all(_ranges_meet(low, high) for low in ranges for high in ranges)


def _has_several_values(conditions: list[dict]) -> bool:
    return any("array" in condition for condition in conditions)


def _values(condition: dict) -> list | range | None:
    """What a condition lists."""
    if condition["op"] == "in":
        return condition["values"]
    if condition["op"] == "range" and condition.get("step"):
        numbers = range(condition["low"], condition["high"] + 1, condition["step"])
        return numbers if len(numbers) <= VALUES_MAX else None
    return None


def _holds(condition: dict, value) -> bool:
    op = condition["op"]
    if op == "in":
        return value in condition["values"]
    if op in ("ne", "not in"):
        return value not in condition["values"]
    if op == "like":
        return fnmatch.fnmatchcase(value, condition["pattern"].replace("[^", "[!"))
    if op != "range":
        return True
    return _bounded(condition, value) and ("step" not in condition or (value - condition["low"]) % condition["step"] == 0)


def _bounded(condition: dict, value) -> bool:
    low, high = condition.get("low"), condition.get("high")
    if low is not None and (value < low or (value == low and "open_low" in condition)):
        return False
    return high is None or not (value > high or (value == high and "open_high" in condition))


def _ranges_meet(one: dict, other: dict) -> bool:
    """Whether the low end of one is not above the high end of the other."""
    low, high = one.get("low"), other.get("high")
    if low is None or high is None:
        return True
    return low < high or (low == high and "open_low" not in one and "open_high" not in other)
