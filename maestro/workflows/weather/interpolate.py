"""MIR in process: a field becomes each of its products.

Two ways. A field on a Gaussian grid without missing values (all of the sample forecast) is decoded once, interpolated as an array for
each product and packed again under the field's own keys. Everything else (spherical harmonics, regional grids, bitmaps) goes to MIR as a
GRIB message in the memory where it lies, and so does every product on a Gaussian grid: MIR then decodes the field anew for each product.
MIR may abort the process: whoever calls this does so in a process that may die.
"""

from __future__ import annotations

import os

from . import grib, samples
from .errors import RefusedError, need

OUTPUT_BYTES = 256 << 20  # address space for MIR's message output, touched only as far as used
TEMPLATE_KEYS = ("paramId", "typeOfLevel", "dataDate", "dataTime", "packingType")


def prepare_cache() -> None:
    """Point MIR at the workflow's cache of weights and keep it to one thread; to be called before MIR is loaded."""
    path = samples.cache_dir() / "mir"
    path.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MIR_CACHE_PATH", str(path))
    os.environ.setdefault("OMP_NUM_THREADS", "1")


class Interpolator:
    """Makes products; keeps one output template per kind of product."""

    def __init__(self, grid: str | None = None):
        """`grid` is the Gaussian grid of all fields to come, without missing values, when that is known: it saves asking each."""
        prepare_cache()
        self.grid = grid
        self.mir, self.ec = need("mir", "mir-python"), grib.eccodes()
        self.templates: dict[tuple, int] = {}
        self.output = None

    def open(self, data) -> Opened:
        """A field in memory; `data` must stay until it is closed."""
        return Opened(self, data)

    def warm(self, message, posts: list[dict]) -> None:
        """Make each kind of product once: weights are computed if need be, and loaded."""
        field = self.open(message)
        for post in {str(post): post for post in posts}.values():
            field.product(post)
        field.close()


class Opened:
    """One field, for all its products."""

    def __init__(self, tool: Interpolator, data):
        self.tool, self.data, self.values = tool, data, None
        self.handle = grib.open_message(data)
        self.grid = tool.grid or self._gaussian()

    def _gaussian(self) -> str | None:
        """The name of the field's Gaussian grid, if it has one and no value is missing."""
        name = grib.text(self.handle, "gridName", "") or ""
        return name if name[:1] in ("O", "N") and grib.text(self.handle, "bitmapPresent") == "0" else None

    def close(self) -> None:
        if self.handle is not None:
            self.tool.ec.codes_release(self.handle)
            self.handle = self.data = None

    def product(self, post: dict) -> bytes:
        """The GRIB message of one product; RefusedError when MIR or eccodes refuses."""
        try:
            if self.grid and "/" in post["grid"]:
                return self._by_array(post)
            return self._by_message(post)
        except (RuntimeError, self.tool.ec.CodesInternalError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RefusedError(f"interpolate to {post}: {reason}") from error

    def _by_message(self, post: dict) -> bytes:
        mir, tool = self.tool.mir, self.tool
        if tool.output is None:
            tool.output = bytearray(OUTPUT_BYTES)
        output = mir.GribMemoryOutput(tool.output)
        source = self.data if not isinstance(self.data, bytes) else bytearray(self.data)
        mir.Job(**post).execute(mir.GribMemoryInput(source), output)
        return bytes(memoryview(tool.output)[: len(output)])

    def _by_array(self, post: dict) -> bytes:
        mir, ec = self.tool.mir, self.tool.ec
        if self.values is None:
            self.values = ec.codes_get_values(self.handle)
        output = mir.ArrayOutput()
        mir.Job(**post).execute(mir.ArrayInput(self.values, {"grid": self.grid}), output)
        kind = (*sorted(post.items()), *(grib.text(self.handle, key) for key in TEMPLATE_KEYS))
        if kind not in self.tool.templates:
            self.tool.templates[kind] = self._template(output)
        made = self.tool.templates[kind]
        self._copy_keys(made)
        ec.codes_set(made, "bitsPerValue", 16)  # a constant product before this one has left 0
        ec.codes_set_values(made, output.values().ravel())
        return grib.view(made).tobytes()

    def _template(self, output) -> int:
        """This field's message with the product's grid in place of its own."""
        ec, spec = self.tool.ec, output.spec
        made = ec.codes_clone(self.handle, headers_only=True)
        north, west, south, east = spec.get("area") or _whole(spec["grid"], output.shape)
        ec.codes_set(made, "gridType", "regular_ll")
        ec.codes_set(made, "Ni", output.shape[1])
        ec.codes_set(made, "Nj", output.shape[0])
        for key, value in (
            ("latitudeOfFirstGridPointInDegrees", north),
            ("longitudeOfFirstGridPointInDegrees", west),
            ("latitudeOfLastGridPointInDegrees", south),
            ("longitudeOfLastGridPointInDegrees", east),
            ("iDirectionIncrementInDegrees", spec["grid"][0]),
            ("jDirectionIncrementInDegrees", spec["grid"][1]),
        ):
            ec.codes_set(made, key, float(value))
        return made

    def _copy_keys(self, made: int) -> None:
        """What differs between fields that share a template: level, member, time range."""
        ec = self.tool.ec
        keys = ["level", "perturbationNumber", "forecastTime", "lengthOfTimeRange"]
        keys += [f"{part}OfEndOfOverallTimeInterval" for part in ("year", "month", "day", "hour")]
        for key in keys:
            if ec.codes_is_defined(self.handle, key) and ec.codes_is_defined(made, key):
                ec.codes_set(made, key, ec.codes_get_long(self.handle, key))


def _whole(grid, shape) -> tuple[float, float, float, float]:
    """The corners of a global grid from the pole, west to east from Greenwich."""
    return 90.0, 0.0, 90.0 - grid[1] * (shape[0] - 1), grid[0] * (shape[1] - 1)
