"""`maestro bench` and `maestro demo`: doors to parts that bring their own command lines.

Arguments are handed over as they are, so each part documents its own options; a part that is not installed is named with the
command that installs it.
"""

from __future__ import annotations

import importlib
import sys

import typer

from .common import CommandError

# What is handed over includes --help, which belongs to the part.
HAND_OVER = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
DEMOS = {"weather": ("maestro.workflows.weather.cli", "weather")}


def register(app: typer.Typer) -> None:
    app.command("bench", context_settings=HAND_OVER)(bench)
    app.command("demo", context_settings=HAND_OVER)(demo)


def bench(context: typer.Context) -> None:
    """Measure the pool and its peers on this machine."""
    _call("maestro.benchmark", "bench", context.args)


def demo(context: typer.Context) -> None:
    """Run a demonstration: weather (default)."""
    words = list(context.args)
    name = words.pop(0) if words and not words[0].startswith("-") else "weather"
    if name not in DEMOS:
        raise CommandError(f"demo: there is no demo '{name}'; there are: {', '.join(DEMOS)}")
    module, extra = DEMOS[name]
    _call(module, extra, ["demo", *words])


def _call(module: str, extra: str, words: list[str]) -> None:
    try:
        part = importlib.import_module(module)
    except ImportError as error:
        raise CommandError(
            f"{module} cannot be loaded: {error}; install it with: {sys.executable} -m pip install 'maestro-hpc[{extra}]'"
        ) from error
    raise typer.Exit(part.main(words) or 0)
