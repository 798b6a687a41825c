"""`python -m maestro.cli`: the command of the Python that runs it."""

from . import main

main()
