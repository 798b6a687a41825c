"""`maestro bench`: what the pool costs on this machine, beside what others cost in the same run, judged against what it must reach.

rows.py says what is measured, sources.py how one figure comes about (a C program of benchmarks/ or a pair of Python processes), judge.py
makes medians and judgements of figures, screen.py shows them.  peers/ holds one file for each other system.
Invariant: what is printed was measured in this run and its result was checked; what could not be measured is named with the reason.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> int:
    """The command line, words from sys.argv."""
    from .cli import app

    app(prog_name="maestro bench", standalone_mode=True)
    return 0
