! Layouts: where parts lie, by indices and parts that begin at 1, and what is refused.
program layouts_test
  use, intrinsic :: iso_fortran_env, only: error_unit, int32, int64
  use maestro
  implicit none
  integer :: failures = 0

  call bounds()
  call parts_of_several_blocks()
  call every_element_has_its_place()
  call numbers_of_elements()
  call refusals()
  if (failures > 0) error stop "some checks failed"

contains

  include "check.inc"

  subroutine bounds()
    type(maestro_layout) :: layout
    type(maestro_local) :: local
    call layout%blocks([10, 7], [3, 2], low=[1, 2], high=[2, 0])
    call check(layout%nparts() == 6, "the number of parts")
    call layout%local(4, local)  ! second of three rows, second of two columns: the last dimension of the grid is counted first
    call check(all(local%first(:2) == [5, 5]) .and. all(local%last(:2) == [7, 7]), "the bounds of what a part owns")
    call check(all(local%lower(:2) == [4, 3]) .and. all(local%upper(:2) == [9, 7]), "the bounds with ghosts")
    call check(local%nelements == 30 .and. local%nowned == 9, "its elements")
    call check(all(local%stride(:2) == [1, 6]) .and. local%order == MAESTRO_COLUMN_MAJOR, "column-major")
    call check(local%is_block, "one block")
    call layout%destroy()
    call layout%blocks([10, 7], [3, 2], grid_order=MAESTRO_COLUMN_MAJOR, order=MAESTRO_ROW_MAJOR)
    call layout%local(2, local)
    call check(all(local%first(:2) == [5, 1]) .and. all(local%stride(:2) == [4, 1]), "the other order of the grid")
    call layout%destroy()
    call layout%destroy()  ! a second time does nothing
    call layout%boxes([10_int64, 7_int64], first=[3_int64, 4_int64], last=[5_int64, 7_int64], low=[1_int64, 0_int64])
    call layout%local(1, local)
    call check(all(local%lower(:2) == [2, 4]) .and. all(local%upper(:2) == [5, 7]) .and. local%is_block, "a box")
    call layout%destroy()
    call layout%blocks([2, 3], [3, 1])
    call layout%local(3, local)
    call check(local%nelements == 0 .and. local%upper(1) == local%lower(1) - 1, "an empty part")
    call layout%destroy()
  end subroutine

  subroutine parts_of_several_blocks()
    type(maestro_layout) :: layout
    type(maestro_local) :: local
    call layout%block_cyclic([10, 6], [2, 3], [2, 2])
    call layout%local(1, local)  ! rows 1 2 5 6 9 10, columns 1 2 3
    call check(.not. local%is_block .and. all(local%lower(:2) == 1) .and. all(local%upper(:2) == [6, 3]), "block-cyclic")
    call layout%destroy()
    call layout%block_cyclic([10, 6], [5, 3], [2, 2])
    call layout%local(4, local)
    call check(local%is_block .and. all(local%lower(:2) == [6, 4]), "block-cyclic with one block a part")
    call layout%destroy()
    call layout%boxes([10, 6], reshape([1, 1, 5, 3], [2, 2]), reshape([2, 2, 6, 3], [2, 2]))
    call layout%local(1, local)
    call check(local%ndims == 1 .and. .not. local%is_block .and. local%lower(1) == 1 .and. local%upper(1) == 6, "two boxes")
    call layout%destroy()
  end subroutine

  subroutine every_element_has_its_place()
    type(maestro_layout) :: layout
    integer :: i, j, part, p
    integer(int64) :: position
    integer :: seen(42, 2)
    seen = 0
    call layout%block_cyclic([10, 7], [2, 3], [2, 1])
    do j = 1, 7
      do i = 1, 10
        call layout%owner([i, j], part)
        call check(part == merge(1, 2, mod((i - 1) / 2, 2) == 0), "the owner of an element")
        do p = 1, 2
          call layout%position(p, [int(i, int64), int(j, int64)], position)
          call check((position > 0) .eqv. p == part, "the owner has a place for an element")
          if (position > 0) seen(position, p) = seen(position, p) + 1
        end do
      end do
    end do
    call check(all(seen(:28, 2) == 1) .and. all(seen(29:, 2) == 0) .and. all(seen(:, 1) == 1), "places are taken once")
    call layout%destroy()
  end subroutine

  ! Elements by number are those of Fortran's order.
  subroutine numbers_of_elements()
    type(maestro_layout) :: layout
    integer, parameter :: shape(3) = [4, 3, 5]
    integer :: numbers(60), i, j, k, n
    integer(int64) :: position
    numbers = [(modulo(7 * n, 61), n=1, 60)]
    call layout%indices(shape, [0, numbers])
    do n = 1, 60
      i = mod(numbers(n) - 1, 4) + 1
      j = mod((numbers(n) - 1) / 4, 3) + 1
      k = (numbers(n) - 1) / 12 + 1
      call layout%position(1, [i, j, k], position)
      call check(position == n + 1, "the place of an element by its number")
    end do
    call layout%owner([1, 1, 1], n)
    call check(n == 1, "the owner of what an only part has")
    call layout%destroy()
    call layout%indices(shape, [2, 3, 2], [.false., .false., .true.])
    call layout%owner([1, 1, 1], n)
    call check(n == 0, "the owner of what others have")
    call layout%destroy()
  end subroutine

  subroutine refusals()
    type(maestro_layout) :: layout
    type(maestro_local) :: local
    integer(int64) :: position
    integer :: status, part
    call layout%blocks([10, 7], [2], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "blocks: grid has 1 values for an array of 2 dimensions")
    call layout%blocks([10, 7], [2, 1], low=[1], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "low has 1")
    call layout%blocks([10, -7], [2, 1], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "size -7")
    call layout%blocks([1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1], low=[0, 0, 0, 0, 0, 0, 0, 0], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "8 dimensions")
    call layout%block_cyclic([10, 7], [1], [2, 1], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "block_cyclic: block has 1")
    call layout%boxes([10, 7], [1, 1], [2, 2, 2], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "boxes: last has 3")
    call layout%boxes([10, 7], reshape([1, 1], [2, 1]), reshape([2, 2, 3, 3], [2, 2]), status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "boxes|different numbers")
    call layout%boxes([10, 7], [1, 1], [11, 2], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "11")
    call layout%indices([10, 7], [1, 71, 3], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "indices: place 2 has element 71")
    call layout%indices([10, 7], [1, 2], [.true.], status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "is_ghost")
    call layout%local(1, local, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "layout")
    call layout%blocks([10, 7], [2, 1])
    call layout%local(3, local, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "part")
    call layout%position(1, [1], position, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "position: index has 1")
    call layout%owner([11, 1], part, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "dimension 0: no index 10")
    call layout%destroy()
  end subroutine
end program
