"""A matrix in row blocks becomes column blocks, stored by columns: each rank gets its columns as one contiguous array.

mpirun -n 2 python transpose.py
"""

from mpi4py import MPI

import maestro

N, STEPS = 1000, 3
comm = MPI.COMM_WORLD

rows = maestro.Layout.blocks((N, N), grid=(comm.size, 1))
columns = maestro.Layout.blocks((N, N), grid=(1, comm.size), order="F")
a, b = maestro.empty(rows, "f8", comm), maestro.empty(columns, "f8", comm)  # ranks of a node copy straight out of such memory
i, j = rows.coordinates(comm.rank)  # global indices, which broadcast
k, m = columns.coordinates(comm.rank)

wrong = 0
with maestro.redistribute(rows, columns, "f8", comm) as plan:  # made once, by all ranks together
    for step in range(STEPS):
        a[:] = i * N + j + step
        plan(a, b)
        wrong += int((b != k * N + m + step).sum())
    explanation = plan.explain()

wrong = comm.reduce(wrong)
if comm.rank == 0:
    print(f"{wrong} elements are wrong")
    print(explanation)
