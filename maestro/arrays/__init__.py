"""Distributed arrays: layouts, and the collective operations of the ranks that hold the parts.

Layouts need no MPI.  What is collective is in libmaestro_mpi, one for each MPI family; the one that fits mpi4py's MPI is loaded when the
first communicator comes.  Invariant: importing this imports neither mpi4py nor matplotlib nor anything of a device.
"""
