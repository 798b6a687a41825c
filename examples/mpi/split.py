"""Two programs of one MPI job find each other by name, and one gives a field to the other, which has other numbers of ranks.

mpirun -n 2 python split.py land : -n 3 python split.py water

It does not matter which comes first on the command line, nor which other programs run beside them, as long as these take part in the split.
"""

import sys

import numpy as np
from mpi4py import MPI

import maestro

SHAPE = (60, 90)
name = sys.argv[1]
own, both = maestro.comm_split(MPI.COMM_WORLD, name, "land and water")
part = own.rank  # parts are numbered among the program's ranks, the plan is made among those of both

if name == "land":
    rows = maestro.Layout.blocks(SHAPE, grid=(own.size, 1))
    field = maestro.empty(rows, "f8", own)
    i, j = rows.coordinates(part)
    field[:] = i * SHAPE[1] + j
    with maestro.redistribute(rows, None, "f8", both, from_part=part) as plan:
        plan(field, None)
else:
    columns = maestro.Layout.blocks(SHAPE, grid=(1, own.size))
    field = maestro.empty(columns, "f8", own)
    i, j = columns.coordinates(part)
    with maestro.redistribute(None, columns, "f8", both, to_part=part) as plan:
        plan(None, field)
    wrong = own.reduce(int(np.sum(field != i * SHAPE[1] + j)))
    if part == 0:
        print(f"water, {own.size} ranks: {wrong} elements are wrong")
own.Free()
both.Free()
