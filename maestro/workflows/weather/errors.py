"""The errors of the weather workflow.

Each message says operation, object, cause and remedy; each class is also the builtin that a caller would catch.
"""

from __future__ import annotations

REMEDY = "maestro-hpc[weather]"  # what brings every package that this workflow needs


class WeatherError(Exception):
    """Anything that the weather workflow reports by name."""


class SampleError(WeatherError, OSError):
    """The sample fields cannot be had."""


class GribError(WeatherError, ValueError):
    """A GRIB file or message cannot be read or written."""


class RefusedError(WeatherError, ValueError):
    """MIR refuses a field or a grid."""


class MissingPackageError(WeatherError, ImportError):
    """An optional package is not installed."""


class StageTimeoutError(WeatherError, TimeoutError):
    """A component did not come, did not end, or sent nothing within its bound."""


def need(module: str, package: str):
    """Import `module`, or say which package of the extra `weather` is missing."""
    import importlib

    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingPackageError(f"load {module}: {error}; install it with: pip install '{REMEDY}' (package {package})") from error
