! A cubed sphere, smoothed over the edges of its faces, two fields in one halo exchange: bit for bit what mesh.c computes, which has the
! recipe.  mpirun -n 4 example_mesh_f90
!
! The array has the shape (n, n, 6) here, and cell (j, i, f): Fortran's order of it is C's order of (f, i, j).  Faces, i and j count from 0,
! as in the recipe; numbers of cells from 1.
program mesh
  use, intrinsic :: iso_c_binding, only: c_int
  use, intrinsic :: iso_fortran_env, only: int8, int32, real64
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
  integer, parameter :: n = 24, tile = 8, steps = 30, along = n / tile, ntiles = 6 * along**2
  integer :: comm, rank, nranks

  call world_begin(comm, rank, nranks)
  call smooth_sphere(ntiles * rank / nranks, ntiles * (rank + 1) / nranks - 1)
  call world_end()

contains

  ! With the tiles from `first` to `last`.
  subroutine smooth_sphere(first, last)
    integer, intent(in) :: first, last
    type(maestro_layout) :: layout
    type(maestro_halo) :: halo
    real(real64), pointer :: u(:), v(:), u_new(:), v_new(:)
    integer :: cells(0:tile + 1, 0:tile + 1, first:last)
    integer :: step
    cells = cells_of(first, last)
    call layout%indices([n, n, 6], reshape(cells, [size(cells)]), is_ghost=reshape(ghosts_of(first, last), [size(cells)]))
    call halo%create(layout, MAESTRO_F64, comm, max_fields=2)
    call maestro_alloc(u, layout, 1)  ! of zeros, which stay where no cell is
    call maestro_alloc(v, layout, 1)
    call maestro_alloc(u_new, layout, 1)
    call maestro_alloc(v_new, layout, 1)
    call begin(cells, u, v)
    do step = 1, steps
      call halo%run(u, v)
      call smooth(last - first + 1, u, v, u_new, v_new)
      call swap(u, u_new)
      call swap(v, v_new)
    end do
    call print_result(layout, u, v)
    call halo%destroy()
    call maestro_dealloc(u)
    call maestro_dealloc(v)
    call maestro_dealloc(u_new)
    call maestro_dealloc(v_new)
    call layout%destroy()
  end subroutine

  ! ---- The mesh
  pure integer function number(face, i, j)
    integer, intent(in) :: face, i, j
    number = 1 + j + n * (i + n * face)
  end function

  ! The number of cell (j, i) of a face, which may lie one beyond its edge; 0 beyond a corner, where three faces meet and no cell is.
  pure integer function cell(face, i, j)
    integer, intent(in) :: face, i, j
    integer :: x(0:2), normal  ! x: its middle
    logical :: beyond_i, beyond_j
    beyond_i = i < 0 .or. i >= n
    beyond_j = j < 0 .or. j >= n
    cell = 0
    if (beyond_i .and. beyond_j) return
    cell = number(face, i, j)
    if (.not. (beyond_i .or. beyond_j)) return
    normal = mod(face, 3)
    x(normal) = merge(n - 1, 1 - n, face < 3)
    x(mod(normal + 1, 3)) = max(-n, min(n, 2 * i + 1 - n))
    x(mod(normal + 2, 3)) = max(-n, min(n, 2 * j + 1 - n))
    normal = mod(normal + merge(1, 2, beyond_i), 3)
    cell = number(merge(normal, normal + 3, x(normal) > 0), (x(mod(normal + 1, 3)) + n) / 2, (x(mod(normal + 2, 3)) + n) / 2)
  end function

  ! What lies where in memory: tiles with a frame of ghost cells.
  pure function cells_of(first, last) result(cells)
    integer, intent(in) :: first, last
    integer :: cells(0:tile + 1, 0:tile + 1, first:last), i, j, t
    do t = first, last
      do i = 0, tile + 1
        do j = 0, tile + 1
          cells(j, i, t) = cell(t / along**2, mod(t / along, along) * tile + i - 1, mod(t, along) * tile + j - 1)
        end do
      end do
    end do
  end function

  pure function ghosts_of(first, last) result(is_ghost)
    integer, intent(in) :: first, last
    logical :: is_ghost(0:tile + 1, 0:tile + 1, first:last)
    is_ghost = .true.
    is_ghost(1:tile, 1:tile, :) = .false.
  end function

  ! ---- The fields
  subroutine begin(cells, u, v)
    integer, intent(in) :: cells(0:, 0:, :)
    real(real64), intent(inout) :: u(0:tile + 1, 0:tile + 1, size(cells, 3)), v(0:tile + 1, 0:tile + 1, size(cells, 3))
    integer :: c, f, i, j, k, l, t
    do t = 1, size(cells, 3)
      do l = 1, tile
        do k = 1, tile
          c = cells(k, l, t) - 1
          f = c / n**2
          i = mod(c / n, n)
          j = mod(c, n)
          u(k, l, t) = mod(7 * i + 13 * j + 3 * f, 31) / 32.0_real64
          v(k, l, t) = mod(5 * i + 11 * j + 17 * f, 29) / 32.0_real64
        end do
      end do
    end do
  end subroutine

  subroutine smooth(mine, u, v, u_new, v_new)
    integer, intent(in) :: mine
    real(real64), intent(in) :: u(0:tile + 1, 0:tile + 1, mine), v(0:tile + 1, 0:tile + 1, mine)
    real(real64), intent(inout) :: u_new(0:tile + 1, 0:tile + 1, mine), v_new(0:tile + 1, 0:tile + 1, mine)
    integer :: i, j, t
    do t = 1, mine
      do i = 1, tile
        do j = 1, tile
          u_new(j, i, t) = (0.25_real64 * u(j, i, t) + 0.125_real64 * sides(u(j - 1:j + 1, i - 1:i + 1, t))) &
            + 0.0625_real64 * corners(u(j - 1:j + 1, i - 1:i + 1, t))
          v_new(j, i, t) = (0.5_real64 * v(j, i, t) + 0.0625_real64 * sides(v(j - 1:j + 1, i - 1:i + 1, t))) &
            + 0.25_real64 * u(j, i, t)
        end do
      end do
    end do
  end subroutine

  pure real(real64) function sides(x)
    real(real64), intent(in) :: x(-1:1, -1:1)
    sides = (x(0, -1) + x(0, 1)) + (x(-1, 0) + x(1, 0))
  end function

  pure real(real64) function corners(x)
    real(real64), intent(in) :: x(-1:1, -1:1)
    corners = (x(-1, -1) + x(1, -1)) + (x(-1, 1) + x(1, 1))
  end function

  subroutine swap(a, b)
    real(real64), pointer, intent(inout) :: a(:), b(:)
    real(real64), pointer :: old(:)
    old => a
    a => b
    b => old
  end subroutine

  ! ---- The result: gathered on rank 0 by a redistribution to a single part
  subroutine print_result(layout, u, v)
    type(maestro_layout), intent(in) :: layout
    real(real64), pointer, intent(in) :: u(:), v(:)
    type(maestro_layout) :: whole
    type(maestro_plan) :: gather
    real(real64), pointer :: all_u(:, :, :), all_v(:, :, :)
    nullify (all_u, all_v)
    if (rank == 0) then
      call whole%blocks([n, n, 6], [1, 1, 1])
      call maestro_alloc(all_u, whole, 1)
      call maestro_alloc(all_v, whole, 1)
    end if
    call gather%create(layout, whole, MAESTRO_F64, comm, max_fields=2)
    call gather%add(u, all_u)
    call gather%run(v, all_v)
    if (rank == 0) print "(a,z8.8,a,z8.8)", "mesh: u ", checksum(all_u, size(all_u)), ", v ", checksum(all_v, size(all_v))
    call gather%destroy()
    call maestro_dealloc(all_u)
    call maestro_dealloc(all_v)
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
end program
