! Communicators of programs by name, and parts that ranks should take.
program mpi_names_test
  use, intrinsic :: iso_fortran_env, only: error_unit, int64
  use maestro_mpi
  implicit none
  include "world.inc"
  integer :: failures = 0, comm, rank, nranks

  call world_begin(comm, rank, nranks)
  call programs()
  call parts_that_stay()
  call world_end()
  if (failures > 0) error stop "some checks failed"

contains

  include "check.inc"

  ! Every second rank is land, the others are ocean, all are both; the blanks of shorter names do not count.
  subroutine programs()
    character(5) :: names(2)
    integer :: comms(2), mine, status
    mine = mod(rank, 2)
    names = [merge("land ", "ocean", mine == 0), "all  "]
    call maestro_comm_split(comm, names, comms)
    call check_ring(comms(1), merge((nranks + 1) / 2, nranks / 2, mine == 0), rank / 2, 2)
    call check_ring(comms(2), nranks, rank, 1)
    call maestro_comm_split(comm, [names(1), names(1)], comms, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "split by name")
    call maestro_comm_split(comm, [character(5) ::], comms(1:0))
  end subroutine

  ! The ranks of a communicator are these: each gets, as its ghost cell, the rank in the world of the one before.
  subroutine check_ring(ring, count, number, step)
    integer, intent(in) :: ring, count, number, step
    type(maestro_layout) :: layout
    type(maestro_halo) :: halo
    integer :: cells(2)
    call layout%blocks([count], [count], low=[1])
    call halo%create(layout, MAESTRO_I32, ring, periodic=[.true.])
    cells = [-1, rank]
    call halo%run(cells)
    call check(cells(1) == mod(rank, step) + step * modulo(number - 1, count), "the rank before in a communicator by name")
    call halo%destroy()
    call layout%destroy()
  end subroutine

  ! Parts are dealt in reverse; who asks which part of the target to take keeps all that it has.
  subroutine parts_that_stay()
    type(maestro_layout) :: from, to
    type(maestro_plan) :: plan
    character(:), allocatable :: json
    integer(int64) :: given(2, 3), taken(2, 3)
    integer :: part
    call from%blocks([2 * nranks, 3], [nranks, 1])
    call to%blocks([2 * nranks, 3], [nranks, 1])
    part = 0
    call maestro_relabel(from, to, comm, part, from_part=nranks - rank)
    call check(part == nranks - rank, "the part that a rank has")
    call plan%create(from, to, MAESTRO_I64, comm, from_part=nranks - rank, to_part=part)
    given = rank
    taken = -1
    call plan%run(given, taken)
    call plan%explain(json)
    call check(all(taken == rank) .and. index(json, '"messages": []') > 0, "nothing moves: " // json)
    call plan%destroy()
    call from%destroy()
    call to%destroy()
  end subroutine
end program
