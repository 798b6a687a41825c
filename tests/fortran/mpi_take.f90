! Takes what mpi_give.c gives, as columns: a(i, j) here is a[i - 1][j - 1] there.
program mpi_take
  use, intrinsic :: iso_fortran_env, only: real64
  use maestro_mpi
  implicit none
  include "world.inc"
  integer :: comm, rank, nranks, givers, i, j
  character(8) :: word
  type(maestro_layout) :: nothing, columns
  type(maestro_plan) :: plan
  real(real64), pointer :: a(:, :)

  call get_command_argument(1, word)
  read (word, *) givers
  call world_begin(comm, rank, nranks)
  call columns%blocks([23, 31], [1, nranks - givers])
  call maestro_alloc(a, columns, rank - givers + 1)
  call plan%create(nothing, columns, MAESTRO_F64, comm, to_part=rank - givers + 1)
  call plan%run(to=a)
  do j = lbound(a, 2), ubound(a, 2)
    do i = lbound(a, 1), ubound(a, 1)
      if (nint(a(i, j)) /= 1000 * (i - 1) + j - 1) error stop "an element is not where C has put it"
    end do
  end do
  call plan%destroy()
  call maestro_dealloc(a)
  call columns%destroy()
  call world_end()
end program
