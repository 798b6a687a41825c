! Stencils on blocks with ghost cells, two fields in one halo exchange: bit for bit what stencil.c computes, which has the recipe.
! mpirun -n 4 example_stencil_f90
!
! Arrays have the bounds of the layout: u(i, j) is the element (i, j) of the whole, counted from 1, on the rank that has it and in
! its neighbours' ghost cells.
program stencil
  use, intrinsic :: iso_c_binding, only: c_int
  use, intrinsic :: iso_fortran_env, only: int8, int32, int64, real64
  use maestro_mpi
  implicit none
  interface  ! with an MPI that has Fortran: use mpi_f08, and MPI_COMM_WORLD%MPI_VAL
    subroutine world_begin(comm, rank, nranks) bind(c)
      import :: c_int
      integer(c_int), intent(out) :: comm, rank, nranks
    end subroutine
    subroutine world_end() bind(c)
    end subroutine
  end interface
  integer :: comm, rank, nranks

  call world_begin(comm, rank, nranks)
  call plane([50, 37])
  call room([20, 14, 11])
  call world_end()

contains

  ! ---- 2D
  subroutine plane(shape)
    integer, intent(in) :: shape(2)
    type(maestro_layout) :: layout
    type(maestro_halo) :: halo
    type(maestro_local) :: l
    real(real64), pointer, asynchronous :: u(:, :), v(:, :), u_new(:, :), v_new(:, :)
    integer(int64) :: i, j, b(2, 2)
    integer :: step
    call layout%blocks(shape, grid_of(2), low=[1, 1], high=[1, 1])
    call layout%local(rank + 1, l)
    b = reshape([l%first(:2), l%last(:2)], [2, 2])  ! what this rank owns
    call halo%create(layout, MAESTRO_F64, comm, periodic=[.true., .false.], max_fields=2)
    call maestro_alloc(u, layout, rank + 1)  ! of zeros
    call maestro_alloc(v, layout, rank + 1)
    call maestro_alloc(u_new, layout, rank + 1)
    call maestro_alloc(v_new, layout, rank + 1)
    do j = b(2, 1), b(2, 2)
      do i = b(1, 1), b(1, 2)
        u(i, j) = mod(7 * (i - 1) + 13 * (j - 1), 31_int64) / 32.0_real64
        v(i, j) = mod(5 * (i - 1) + 11 * (j - 1), 29_int64) / 32.0_real64
      end do
    end do
    do step = 1, 40
      call halo%start(u, v)
      call step_plane(u, v, u_new, v_new, b(:, 1) + 1, b(:, 2) - 1)  ! what needs no ghost cells
      call halo%wait()
      call step_plane(u, v, u_new, v_new, b(:, 1), [b(1, 2), min(b(2, 1), b(2, 2))])
      call step_plane(u, v, u_new, v_new, [b(1, 1), max(b(2, 2), b(2, 1) + 1)], b(:, 2))
      call step_plane(u, v, u_new, v_new, b(:, 1) + [0, 1], [min(b(1, 1), b(1, 2)), b(2, 2) - 1])
      call step_plane(u, v, u_new, v_new, [max(b(1, 2), b(1, 1) + 1), b(2, 1) + 1], b(:, 2) - [0, 1])
      call swap_2(u, u_new)
      call swap_2(v, v_new)
    end do
    call print_plane(layout, shape, u, v)
    call halo%destroy()
    call maestro_dealloc(u)
    call maestro_dealloc(v)
    call maestro_dealloc(u_new)
    call maestro_dealloc(v_new)
    call layout%destroy()
  end subroutine

  ! The new values of the cells from `first` to `last`.
  subroutine step_plane(u, v, u_new, v_new, first, last)
    real(real64), pointer, intent(in) :: u(:, :), v(:, :), u_new(:, :), v_new(:, :)
    integer(int64), intent(in) :: first(2), last(2)
    real(real64) :: sides, corners
    integer(int64) :: i, j
    do j = first(2), last(2)
      do i = first(1), last(1)
        sides = (u(i - 1, j) + u(i + 1, j)) + (u(i, j - 1) + u(i, j + 1))
        corners = (u(i - 1, j - 1) + u(i - 1, j + 1)) + (u(i + 1, j - 1) + u(i + 1, j + 1))
        u_new(i, j) = (0.25_real64 * u(i, j) + 0.125_real64 * sides) + 0.0625_real64 * corners
        v_new(i, j) = v(i, j) + (0.5_real64 * (v(i - 1, j) - v(i, j)) + 0.25_real64 * (v(i, j - 1) - v(i, j)))
      end do
    end do
  end subroutine

  subroutine swap_2(a, b)
    real(real64), pointer, intent(inout) :: a(:, :), b(:, :)
    real(real64), pointer :: old(:, :)
    old => a
    a => b
    b => old
  end subroutine

  ! ---- 3D
  subroutine room(shape)
    integer, intent(in) :: shape(3)
    type(maestro_layout) :: layout
    type(maestro_halo) :: halo
    type(maestro_local) :: l
    real(real64), pointer :: t(:, :, :), c(:, :, :), t_new(:, :, :), c_new(:, :, :)
    integer(int64) :: i, j, k
    integer :: step
    call layout%blocks(shape, grid_of(3), low=[1, 1, 2], high=[1, 1, 1])
    call layout%local(rank + 1, l)
    call halo%create(layout, MAESTRO_F64, comm, periodic=[.true., .false., .true.], max_fields=2)
    call maestro_alloc(t, layout, rank + 1)
    call maestro_alloc(c, layout, rank + 1)
    call maestro_alloc(t_new, layout, rank + 1)
    call maestro_alloc(c_new, layout, rank + 1)
    do k = l%first(3), l%last(3)
      do j = l%first(2), l%last(2)
        do i = l%first(1), l%last(1)
          t(i, j, k) = mod(7 * (i - 1) + 13 * (j - 1) + 3 * (k - 1), 31_int64) / 32.0_real64
          c(i, j, k) = mod(5 * (i - 1) + 11 * (j - 1) + 17 * (k - 1), 29_int64) / 32.0_real64
        end do
      end do
    end do
    do step = 1, 30
      call halo%run(t, c)
      call step_room(l, t, c, t_new, c_new)
      call swap_3(t, t_new)
      call swap_3(c, c_new)
    end do
    call print_room(layout, shape, t, c)
    call halo%destroy()
    call maestro_dealloc(t)
    call maestro_dealloc(c)
    call maestro_dealloc(t_new)
    call maestro_dealloc(c_new)
    call layout%destroy()
  end subroutine

  subroutine step_room(l, t, c, t_new, c_new)
    type(maestro_local), intent(in) :: l
    real(real64), pointer, intent(in) :: t(:, :, :), c(:, :, :), t_new(:, :, :), c_new(:, :, :)
    real(real64) :: faces, corners
    integer(int64) :: i, j, k
    do k = l%first(3), l%last(3)
      do j = l%first(2), l%last(2)
        do i = l%first(1), l%last(1)
          faces = ((t(i - 1, j, k) + t(i + 1, j, k)) + (t(i, j - 1, k) + t(i, j + 1, k))) + (t(i, j, k - 1) + t(i, j, k + 1))
          corners = ((t(i - 1, j - 1, k - 1) + t(i - 1, j - 1, k + 1)) + (t(i - 1, j + 1, k - 1) + t(i - 1, j + 1, k + 1))) + &
            ((t(i + 1, j - 1, k - 1) + t(i + 1, j - 1, k + 1)) + (t(i + 1, j + 1, k - 1) + t(i + 1, j + 1, k + 1)))
          t_new(i, j, k) = (0.5_real64 * t(i, j, k) + 0.0625_real64 * faces) + 0.015625_real64 * corners
          c_new(i, j, k) = c(i, j, k) + (0.5_real64 * (c(i, j, k - 1) - c(i, j, k)) &
            + 0.125_real64 * ((c(i, j, k - 2) - c(i, j, k - 1)) - (c(i, j, k - 1) - c(i, j, k))))
        end do
      end do
    end do
  end subroutine

  subroutine swap_3(a, b)
    real(real64), pointer, intent(inout) :: a(:, :, :), b(:, :, :)
    real(real64), pointer :: old(:, :, :)
    old => a
    a => b
    b => old
  end subroutine

  ! ---- The result: gathered on rank 0 by a redistribution to a single part, and by rows, so that its axes are in reverse here
  subroutine print_plane(layout, shape, u, v)
    type(maestro_layout), intent(in) :: layout
    integer, intent(in) :: shape(2)
    real(real64), pointer, intent(in) :: u(:, :), v(:, :)
    type(maestro_layout) :: whole
    type(maestro_plan) :: gather
    real(real64), pointer :: all_u(:, :), all_v(:, :)
    nullify (all_u, all_v)
    if (rank == 0) then
      call whole%blocks(shape, [1, 1], order=MAESTRO_ROW_MAJOR)
      call maestro_alloc(all_u, whole, 1)
      call maestro_alloc(all_v, whole, 1)
    end if
    call gather%create(layout, whole, MAESTRO_F64, comm, max_fields=2)
    call gather%add(u, all_u)
    call gather%run(v, all_v)
    if (rank == 0) print "(a,z8.8,a,z8.8)", "2D: u ", checksum(all_u, size(all_u)), ", v ", checksum(all_v, size(all_v))
    call gather%destroy()
    call maestro_dealloc(all_u)
    call maestro_dealloc(all_v)
    call whole%destroy()
  end subroutine

  subroutine print_room(layout, shape, t, c)
    type(maestro_layout), intent(in) :: layout
    integer, intent(in) :: shape(3)
    real(real64), pointer, intent(in) :: t(:, :, :), c(:, :, :)
    type(maestro_layout) :: whole
    type(maestro_plan) :: gather
    real(real64), pointer :: all_t(:, :, :), all_c(:, :, :)
    nullify (all_t, all_c)
    if (rank == 0) then
      call whole%blocks(shape, [1, 1, 1], order=MAESTRO_ROW_MAJOR)
      call maestro_alloc(all_t, whole, 1)
      call maestro_alloc(all_c, whole, 1)
    end if
    call gather%create(layout, whole, MAESTRO_F64, comm, max_fields=2)
    call gather%add(t, all_t)
    call gather%run(c, all_c)
    if (rank == 0) print "(a,z8.8,a,z8.8)", "3D: t ", checksum(all_t, size(all_t)), ", c ", checksum(all_c, size(all_c))
    call gather%destroy()
    call maestro_dealloc(all_t)
    call maestro_dealloc(all_c)
    call whole%destroy()
  end subroutine

  ! zlib's CRC-32.
  pure function checksum(values, count) result(crc)
    integer, intent(in) :: count
    real(real64), intent(in) :: values(count)
    integer(int32), parameter :: polynomial = int(z"6db88320", int32) + ishft(1_int32, 31)
    integer(int8) :: bytes(8 * count)
    integer(int32) :: crc
    integer :: i, bit
    bytes = transfer(values, bytes)
    crc = not(0_int32)
    do i = 1, size(bytes)
      crc = ieor(crc, iand(int(bytes(i), int32), 255))
      do bit = 1, 8
        crc = merge(ieor(shiftr(crc, 1), polynomial), shiftr(crc, 1), btest(crc, 0))
      end do
    end do
    crc = not(crc)
  end function

  ! The ranks as a grid, as square as they allow; the result does not depend on it.
  function grid_of(ndims) result(grid)
    integer, intent(in) :: ndims
    integer :: grid(ndims), rest, d
    rest = nranks
    do d = 1, ndims
      grid(d) = ceiling(rest**(1.0 / (ndims - d + 1)) - 0.001)
      do while (mod(rest, grid(d)) /= 0)
        grid(d) = grid(d) + 1
      end do
      rest = rest / grid(d)
    end do
  end function
end program
