"""The command `maestro`: one typer application whose commands stand in the files beside this one.

Here: the application, and what becomes of an error (one text on standard error, exit code 1; wrong usage is 2, Ctrl-C 130).
"""

from __future__ import annotations

import sys

import typer

app = typer.Typer(
    name="maestro",
    help="Shared-memory data pools for workflows: run them, look into them, find out what is wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _register() -> None:
    from . import archive, doctor, extras, machine, objects, pin, pool, run, stats, top, trace

    for module in (run, objects, archive, pin, top, trace, stats, machine, doctor, pool, extras):
        module.register(app)


_register()


def main() -> None:
    from ..yamlfile import FileError
    from .common import CommandError, err

    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        sys.stderr.close()
        sys.exit(0)
    except (FileError, CommandError) as error:
        err.print(f"[bold red]error[/]: {_escape(error)}", soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        if not _from_maestro(error):
            raise
        err.print(f"[bold red]error[/]: {_escape(error)}", soft_wrap=True)
        sys.exit(1)


def _escape(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))


def _from_maestro(error: Exception) -> bool:
    from ..launch.lines import LaunchError

    maestro = sys.modules.get("maestro")
    return isinstance(error, (LaunchError, getattr(maestro, "MaestroError", LaunchError)))
