"""`maestro bench` and `maestro demo`: doors to parts that bring their own command lines.

Words are handed over as they are, so each part documents its own options; a part that is not installed is named with the
command that installs it.
"""

from __future__ import annotations

import importlib
import sys

import typer

from .common import CommandError

# What is handed over includes --help, which belongs to the part.
HAND_OVER = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
DEMOS = {"weather": "maestro.workflows.weather.cli"}


def register(app: typer.Typer) -> None:
    app.command("bench", context_settings=HAND_OVER)(bench)
    app.command("demo", context_settings=HAND_OVER)(demo)


def bench(context: typer.Context) -> None:
    """Measure the pool and its peers on this machine."""
    _hand_over("maestro.benchmark", "bench", ["maestro-bench", *context.args])


def demo(context: typer.Context) -> None:
    """Run a demonstration: weather (default)."""
    words = list(context.args)
    name = words.pop(0) if words and not words[0].startswith("-") else "weather"
    if name not in DEMOS:
        raise CommandError(f"demo: there is no demo '{name}'; there are: {', '.join(DEMOS)}")
    _hand_over(DEMOS[name], name, [f"maestro-{name}", "demo", *words])


def _hand_over(module: str, extra: str, words: list[str]) -> None:
    """Call a part's entry point as its own command would."""
    try:
        part = importlib.import_module(module)
    except ImportError as error:
        install = f"{sys.executable} -m pip install 'maestro-hpc[{extra}]'"
        raise CommandError(f"{module} cannot be loaded: {error}; install it with: {install}") from error
    sys.argv = words
    raise typer.Exit(part.main() or 0)
