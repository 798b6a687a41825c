"""What a solver wants: a matrix of doubles in row blocks becomes single precision, scaled, in blocks dealt to a grid of ranks; and back.

mpirun -n 4 python solver.py

Which part of the dealt matrix a rank takes is free: `relabel` proposes the one of which it has most already.
"""

import numpy as np
from mpi4py import MPI

import maestro

N, BLOCK = 600, 64
comm = MPI.COMM_WORLD
grid = tuple(MPI.Compute_dims(comm.size, 2))

rows = maestro.Layout.blocks((N, N), grid=(comm.size, 1))
dealt = maestro.Layout.block_cyclic((N, N), block=(BLOCK, BLOCK), grid=grid, order="F")  # as ScaLAPACK has it
part = maestro.relabel(rows, dealt, comm)

a, b = maestro.empty(rows, "f8", comm), maestro.empty(dealt, "f4", comm, part=part)
i, j = rows.coordinates(comm.rank)
a[:] = (i + 2 * j) % 1024

there = maestro.redistribute(rows, dealt, maestro.Field("f8", "f4", scale=0.5), comm, to_part=part)
back = maestro.redistribute(dealt, rows, maestro.Field("f4", "f8", scale=2), comm, from_part=part)
with there, back:
    there(a, b)
    i, j = dealt.coordinates(part)
    wrong = int(np.sum(b != 0.5 * ((i + 2 * j) % 1024)))
    c = maestro.empty(rows, "f8", comm)
    back(b, c)
    wrong += int(np.sum(c != a))

wrong = comm.reduce(wrong)
if comm.rank == 0:
    print(f"{wrong} elements are wrong")
