"""The launcher and the MPI library are of one family; if not, every process believes to be rank 0 of 1."""

import os

from mpi4py import MPI


def test_launcher_and_library_agree_on_the_number_of_ranks():
    assert MPI.COMM_WORLD.size == int(os.environ["TEST_RANKS"])


def test_every_rank_takes_part():
    comm = MPI.COMM_WORLD
    assert comm.allreduce(1 << comm.rank) == (1 << comm.size) - 1
