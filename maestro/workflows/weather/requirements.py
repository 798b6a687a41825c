"""The requirements file: which products are wanted from which fields, for whom, and with a picture or not.

Reads the YAML file, expands MARS lists and ranges, and pairs each expected product with the plan's field that it needs. One
product is one requirement that is met or not. Products are numbered; that number is their name in traces and part files.
"""

from __future__ import annotations

import re
from itertools import product as combinations
from typing import Annotated

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic import Field as Key

from ...yamlfile import read, validate
from . import mars
from .plan import Field, Plan

KEYS = (*mars.IDENTITY, "iteration")
DEGREES = r"(\d+\.?\d*|\.\d+)"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Post(Part):
    """What MIR makes of the field: a grid, and optionally a part of the globe."""

    grid: str
    area: str | None = None

    @field_validator("grid")
    @classmethod
    def _grid(cls, value: str) -> str:
        if not re.fullmatch(rf"{DEGREES}/{DEGREES}|[ONF]\d+", value) or ("/" in value and min(map(float, value.split("/"))) <= 0):
            raise ValueError(f"grid '{value}' is no grid: expected dx/dy in degrees (0.25/0.25) or a Gaussian grid (O320, N200)")
        return value

    @field_validator("area")
    @classmethod
    def _area(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            north, west, south, east = (float(part) for part in value.split("/"))
        except ValueError:
            raise ValueError(f"area '{value}' is no area: expected north/west/south/east in degrees") from None
        if not (-90 <= south < north <= 90 and west < east <= west + 360):
            raise ValueError(f"area '{value}': north must be above south, and east beyond west by at most 360 degrees")
        return value

    def job(self) -> dict[str, str]:
        """As MIR takes it."""
        return {"grid": self.grid} | ({"area": self.area} if self.area else {})


class Requirement(Part):
    name: str
    retrieve: dict[str, list]
    post: Post
    to: Annotated[str, Key(pattern=r"^[\w.-]+$")]
    picture: bool = False

    @field_validator("retrieve", mode="before")
    @classmethod
    def _retrieve(cls, value):
        from ...yamlfile import nearest

        if not isinstance(value, dict):
            return value  # refused for its type
        for key, item in value.items():
            if key not in KEYS:
                raise ValueError(f"'{key}' is no key of a field{nearest(str(key), KEYS)}")
            if item in (None, [], "") or isinstance(item, dict):
                raise ValueError(f"'{key}' has no value: expected one, or a list (a/b), or a range (a/to/b/by/n)")
        return {key: mars.expand(key, item) for key, item in value.items()}


class Product:
    """One expected output field: requirement, the field that it needs (None: the plan makes no such field), what to make of it."""

    __slots__ = ("field", "index", "name", "picture", "post", "to")

    def __init__(self, index: int, name: str, field: Field | None, source: Requirement):
        self.index, self.name, self.field = index, name, field
        self.post, self.to, self.picture = source.post, source.to, source.picture


def load(path) -> list[Requirement]:
    """Read a requirements file; maestro.yamlfile.FileError names file, line and column of each mistake."""
    return validate(read(path), Annotated[list[Requirement], Key(min_length=1)])


def expand(requirements: list[Requirement], fields: list[Field]) -> list[Product]:
    """Every product that the requirements expect of these fields, in the order of the file."""
    by_param: dict[str, list[Field]] = {}
    for item in fields:
        by_param.setdefault(item.keys["param"], []).append(item)
    found: list[Product] = []
    for requirement in requirements:
        wanted = requirement.retrieve
        for values in combinations(*wanted.values()):
            keys = dict(zip(wanted, values, strict=True))
            candidates = by_param.get(keys["param"], []) if "param" in keys else fields
            matches = [item for item in candidates if all(item.keys.get(k) == v for k, v in keys.items())]
            for match in matches or [None]:
                found.append(Product(len(found), _name(requirement, match.keys if match else keys), match, requirement))
    return found


def _name(requirement: Requirement, keys: dict) -> str:
    return f"{requirement.name}: {mars.describe(keys)}"


def needed(products: list[Product]) -> dict[int, list[Product]]:
    """The products of each field, by the field's number."""
    table: dict[int, list[Product]] = {}
    for item in products:
        if item.field is not None:
            table.setdefault(item.field.index, []).append(item)
    return table


def selector(products: list[Product]) -> str:
    """The subscription that brings every needed field: per level type the union of the keys of its requirements."""
    parts = []
    for levtype, box in _boxes(products).items():
        parts.append(" and ".join([f"levtype = {levtype}", *(_clause(key, values) for key, values in box.items() if values != {None})]))
    return " or ".join(f"({part})" for part in parts)


def covers(products: list[Product], fields: list[Field]) -> set[int]:
    """Numbers of the fields that `selector` brings."""
    boxes = _boxes(products)
    return {
        item.index
        for item in fields
        if (box := boxes.get(item.keys["levtype"])) and all(item.keys.get(key) in values for key, values in box.items())
    }


def _boxes(products: list[Product]) -> dict[str, dict[str, set]]:
    """Per level type the values of each key; None is among them where a field has no such key."""
    boxes: dict[str, dict[str, set]] = {}
    for item in products:
        if item.field is not None:
            box = boxes.setdefault(item.field.keys["levtype"], {})
            for key in ("param", "levelist", "step", "number"):
                box.setdefault(key, set()).add(item.field.keys.get(key))
    return boxes


def _clause(key: str, values: set) -> str:
    ordered = sorted(value for value in values if value is not None)
    words = [f"'{value}'" if isinstance(value, str) and not re.fullmatch(r"[a-z]\w*", value) else str(value) for value in ordered]
    text = f"{key} = {words[0]}" if len(words) == 1 else f"{key} in ({', '.join(words)})"
    return f"({text} or not has({key}))" if None in values else text


EUROPE, ATLANTIC, WORLD = (
    {"grid": "0.5/0.5", "area": "75/-30/30/45"},
    {"grid": "0.5/0.5", "area": "70/-85/20/0"},
    {"grid": "1/1"},
)


def default(plan: Plan) -> list[dict]:
    """A forecast office's wishes for a plan, as plain data: each level and param once at least, more of what is looked at most."""
    steps, members = plan.steps, plan.members
    late, first, last = steps[1::2] or steps, members[:1], members[-1:]
    wishes: list[dict] = []

    def wish(name, to, post, picture=False, **retrieve):
        if all(value for value in retrieve.values()):
            joined = {key: "/".join(map(str, v)) if isinstance(v, list) else v for key, v in retrieve.items()}
            wishes.append({"name": name, "retrieve": joined, "post": post, "to": to} | ({"picture": True} if picture else {}))

    def some(names: str, have) -> list:
        return [name for name in names.split("/") if name in have]

    def spread(name, to, post, key, values, **retrieve):
        """One wish per value, each at another step: work comes in evenly, as in a forecast office."""
        for position, value in enumerate(values):
            wish(f"{name}-{value}", to, post, **retrieve, **{key: [value]}, step=[steps[position % len(steps)]])

    if plan.sfc:
        look = some("msl/2t/tp/10fg", plan.sfc)
        wish("bulletin-maps", "forecasters", EUROPE, True, levtype="sfc", param=look, step=steps[-1:], number=first)
        daily = some("msl/2t/tp/10u/10v/tcc", plan.sfc)
        wish("bulletin", "forecasters", EUROPE, levtype="sfc", param=daily, step=steps, number=members)
        rest = [name for name in plan.sfc if name not in daily]
        spread("surface", "hydrology", WORLD, "param", rest, levtype="sfc", number=last)
    if plan.pl:
        names, levels = plan.pl.params, [mars.scalar("levelist", level) for level in plan.pl.levels]
        middle, low, jet = ([v for v in levels if a <= v <= b] for a, b in ((500, 500), (850, 850), (200, 300)))
        maps = {"levtype": "pl", "step": late[:1], "number": first}
        wish("z-map", "forecasters", ATLANTIC, True, param=some("z", names), levelist=middle, **maps)
        wish("t-map", "forecasters", EUROPE, True, param=some("t/r", names), levelist=low, **maps)
        wish("jet-map", "aviation", ATLANTIC, True, param=some("u", names), levelist=jet[-2:-1] or jet, **maps)
        wish("synoptic", "forecasters", EUROPE, levtype="pl", param=some("z/t", names), levelist=middle + low, step=steps, number=members)
        wish("jet", "aviation", ATLANTIC, levtype="pl", param=some("u/v/t", names), levelist=jet, step=late, number=first)
        spread("world", "climate", WORLD, "levelist", levels, levtype="pl", param=names, number=first)
    if plan.ml:
        names, levels = plan.ml.params, [mars.scalar("levelist", level) for level in plan.ml.levels]
        spread("layer", "air-quality", EUROPE, "levelist", levels, levtype="ml", param=names, number=last)
        wish("lowest", "air-quality", EUROPE, levtype="ml", param=names[:1], levelist=levels[-1:], step=steps, number=members)
    return wishes


def of_file(fields: list[Field], pictures: int = 100) -> list[dict]:
    """For a user's file: every field on one degree, the first ones with a map."""
    return [
        {
            "name": "file",
            "retrieve": {"iteration": item.keys["iteration"]},
            "post": dict(WORLD),
            "to": "user",
            "picture": item.index < pictures,
        }
        for item in fields
    ]
