"""The plan of a forecast: which fields, how made, and into which sink. Two runs differ in the one word after `sink:`.

Reads and checks the YAML file and lists the fields in the order in which they are made: step, member, level type, level,
param. A field's index in that list is its number everywhere (traces, notices, --drop-field). No eccodes in here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, field_validator, model_validator
from pydantic import Field as Key

from ...yamlfile import read, validate
from . import mars, params


def _list_of(key: str):
    return BeforeValidator(lambda value: _once(key, mars.expand(key, value)))


def _once(key: str, values: list) -> list:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{key} {value} stands here a second time")
    return values


def _moment(key: str, form: str):
    """A date or time in its canonical form, which must exist."""

    def check(value) -> str:
        text = mars.scalar(key, value)
        try:
            datetime.strptime(text, form)
        except ValueError:
            raise ValueError(f"'{value}' is no {key}: expected {'yyyymmdd' if key == 'date' else 'hhmm'}") from None
        return text

    return BeforeValidator(check)


Steps = Annotated[list[int], _list_of("step")]
Numbers = Annotated[list[int], _list_of("number")]
UpperNames = Annotated[list[Annotated[str, AfterValidator(lambda name: _known("pl", name))]], _list_of("param")]
SurfaceNames = Annotated[list[Annotated[str, AfterValidator(lambda name: _known("sfc", name))]], _list_of("param")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Upper(Part):
    """Params on levels of one kind."""

    params: UpperNames


class ModelLevels(Upper):
    levels: Annotated[list[Annotated[int, Key(ge=1, le=91)]], _list_of("levelist")]


class PressureLevels(Upper):
    """Levels in hPa."""

    levels: Annotated[list[Annotated[float, Key(gt=0, le=1100)]], _list_of("levelist")]


class MaestroSink(Part):
    pool: str | None = None
    schema_name: str = Key("mars", alias="schema")
    only_wanted: bool = Key(False, description="make and move no field that nobody needs when its turn comes")
    keep: int = Key(4 << 30, ge=0, description="bytes that may be in the pool before the oldest step must have been consumed")


class FdbSink(Part):
    root: Path = Path("fdb")
    flush: Literal["field", "step"] = "field"


class FileSink(Part):
    directory: Path = Path("fields")


class Plan(Part):
    """A plan file. Relative paths in it count from the run's directory."""

    date: Annotated[str, _moment("date", "%Y%m%d")] = "20070510"
    time: Annotated[str, _moment("time", "%H%M")] = "0000"
    class_: str = Key("od", alias="class")
    stream: str = "enfo"
    type: str = "pf"
    expver: Annotated[str, BeforeValidator(lambda v: mars.scalar("expver", v))] = "0001"
    members: Numbers = [1, 2]
    steps: Steps = list(range(6, 61, 6))
    ml: ModelLevels | None = None
    pl: PressureLevels | None = None
    sfc: SurfaceNames = []
    input: Path | None = None
    grid: str = "O320"
    packing: Literal["ccsds", "simple16"] = "ccsds"
    mode: Literal["encode", "rekey", "replay"] = "encode"
    forecast: Path | None = Key(None, description="mode replay: directory where the sink `file` left these fields")
    rate: float = Key(0, ge=0, description="fields per second of all ranks together; 0 is as fast as it goes")
    jitter: float = Key(0, ge=0, le=1, description="share of the pause that is drawn by chance")
    checksum: bool = True
    workers: int = Key(2, ge=0, le=64, description="product workers, who share the fields")
    sink: Literal["maestro", "fdb", "file", "null"] = "null"
    maestro: MaestroSink = MaestroSink()
    fdb: FdbSink = FdbSink()
    file: FileSink = FileSink()

    @field_validator("grid")
    @classmethod
    def _grid(cls, value: str) -> str:
        if not re.fullmatch(r"O[1-9]\d{0,3}", value) or int(value[1:]) > 2560:
            raise ValueError(f"grid '{value}' is not known: the hammer makes octahedral grids up to O2560, e.g. O320 or O640")
        return value

    @model_validator(mode="after")
    def _something(self) -> Plan:
        if not (self.input or self.ml or self.pl or self.sfc):
            raise ValueError("the plan makes no field: give one of ml, pl, sfc or input")
        if self.mode == "replay" and not self.forecast:
            raise ValueError("mode replay needs 'forecast', the directory that a run with sink file has written")
        return self

    def fields(self) -> list[Field]:
        """All fields of the plan in order of making."""
        if self.input:
            from .grib import file_fields

            return file_fields(self.input)
        base = {"class": self.class_, "stream": self.stream, "type": self.type, "expver": self.expver}
        base |= {"date": self.date, "time": self.time}
        found: list[Field] = []
        for step in self.steps:
            for number in self.members:
                for chunk, keys in self._step_fields():
                    number_of = params.lookup(keys["levtype"], keys["param"]).id
                    found.append(Field(len(found), chunk, base | keys | {"step": step, "number": number}, number_of))
        return found

    def sequences(self) -> list[int]:
        """The numbers under which a producer says that its fields are complete: the steps; a user's file is one, 0."""
        return [0] if self.input else self.steps

    def sequence(self, field: Field) -> int:
        """The one that a field belongs to."""
        return 0 if self.input else field.keys["step"]

    def collection(self, what: str) -> str:
        """The name of a collection of this forecast, `forecast` (its steps) or `products`; another forecast's has another name."""
        if self.input:
            return f"{what}/{self.input.name}"
        return "/".join((what, self.class_, self.stream, self.type, self.expver, self.date, self.time))

    def _step_fields(self):
        """(position of the level among its levels, keys) for each field of one step and member."""
        for levtype, upper in (("ml", self.ml), ("pl", self.pl)):
            levels = upper.levels if upper else []
            for position, level in enumerate(levels):
                for name in upper.params:
                    yield position / len(levels), {"levtype": levtype, "levelist": mars.scalar("levelist", level), "param": name}
        for position, name in enumerate(self.sfc):
            yield position / len(self.sfc), {"levtype": "sfc", "param": name}


@dataclass(slots=True)
class Field:
    """One field: its number, where its level stands in its list (0 to below 1), its MARS keys, and the number of its param."""

    index: int
    chunk: float
    keys: dict
    param_id: int

    def rank(self, nranks: int) -> int:
        """The rank that makes this field: each rank owns a chunk of the levels (of the params where there are no levels)."""
        return int(self.chunk * nranks)

    def worker(self, nworkers: int) -> int:
        """The product worker that serves this field, by a hash of the identity that every process computes alike."""
        from zlib import crc32

        text = ",".join(f"{key}:{self.keys[key]}" for key in sorted(self.keys))
        return crc32(text.encode()) % nworkers


def load(path) -> Plan:
    """Read a plan file; maestro.yamlfile.FileError names file, line and column of each mistake."""
    return validate(read(path), Plan)


def default(members: int = 2, steps: int = 10) -> dict:
    """The default forecast as plain data: 230 fields per step and member, ready for a YAML file."""
    return {
        "date": "20070510",
        "time": "0000",
        "members": f"1/to/{members}",
        "steps": f"6/to/{6 * steps}/by/6",
        "ml": {"params": "t/u/v/q/w/vo/d/clwc/ciwc/cc/pt", "levels": "38/44/50/56/62/68/74/80/86/91"},
        "pl": {"params": "z/t/u/v/q/r/w/vo/d", "levels": "100/200/250/300/400/500/700/850/925/1000"},
        "sfc": "/".join(params.SURFACE),
        "grid": "O320",
        "packing": "ccsds",
        "mode": "encode",
        "sink": "null",
    }


def _known(levtype: str, name: str) -> str:
    try:
        return params.lookup(levtype, name).name
    except KeyError as error:
        raise ValueError(error.args[0]) from None
