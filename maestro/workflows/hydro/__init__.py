"""Hydro: a small gas-dynamics code in two dimensions, whose output goes through the pool to consumers, and back to a restart.

`solver` is the scheme, without MPI; `ranks` cuts the grid over MPI ranks and exchanges ghost cells; `output` writes and reads records;
`consumers` are programs that read them. Importing this package imports none of MPI or matplotlib.
"""
