! Plans: arrays with their bounds, parts of few ranks, several fields, and what is refused, on all ranks alike.
program mpi_plans_test
  use, intrinsic :: iso_fortran_env, only: error_unit, int32, int64, real32, real64
  use maestro_mpi
  implicit none
  include "world.inc"
  integer :: failures = 0, comm = 0, rank = 0, nranks = 1

  call without_communicator(MAESTRO_WRONG_STATE, "MPI is not initialised")
  call world_begin(comm, rank, nranks)
  call without_communicator(MAESTRO_INVALID_ARGUMENT, "no communicator")
  call global_bounds()
  call from_the_first_to_the_last()
  call several_fields()
  call converted_fields()
  call of_boxes_and_numbers()
  call wrong_arrays()
  call tried_arrays()
  call wrong_tried_arrays()
  call wrong_plans()
  call wrong_memory()
  call world_end()
  if (failures > 0) error stop "some checks failed"

contains

  include "check.inc"

  elemental function value(i, j)
    integer, intent(in) :: i, j
    real(real64) :: value
    value = 1000 * i + j
  end function

  ! Rows, row-major, become columns, and each side is written by its global indices.
  subroutine global_bounds()
    type(maestro_layout) :: rows, columns
    type(maestro_plan) :: plan
    real(real64), pointer :: from(:, :), to(:, :)
    real(real64), allocatable :: own(:, :)
    type(maestro_local) :: local
    character(:), allocatable :: json
    integer :: i, j
    call rows%blocks([9, 11], [nranks, 1], order=MAESTRO_ROW_MAJOR)
    call columns%blocks([9, 11], [1, nranks], low=[1, 2], high=[0, 1])
    call maestro_alloc(from, rows, rank + 1)  ! from(j, i)
    call maestro_alloc(to, columns, rank + 1)
    call columns%local(rank + 1, local)
    call check(all(lbound(to) == local%lower(:2)) .and. all(ubound(to) == local%upper(:2)), "bounds of an array with ghosts")
    call check(lbound(from, 1) == 1 .and. ubound(from, 1) == 11, "axes of a row-major array")
    do i = lbound(from, 2), ubound(from, 2)
      do j = 1, 11
        from(j, i) = value(i, j)
      end do
    end do
    to = -1
    call plan%create(rows, columns, MAESTRO_F64, comm)
    call plan%run(from, to)
    call check_columns(to, local)
    allocate (own(local%lower(1):local%upper(1), local%lower(2):local%upper(2)), source=-1.0_real64)
    call plan%run(from, own)
    call check_columns(own, local)
    call plan%explain(json)
    call check(index(json, '"element_bytes": 8') > 0, "explain: " // json)
    call plan%destroy()
    call maestro_dealloc(from)
    call maestro_dealloc(to)
    call check(.not. associated(to), "no array after dealloc")
    call rows%destroy()
    call columns%destroy()
  end subroutine

  subroutine check_columns(values, local)
    type(maestro_local), intent(in) :: local
    real(real64), intent(in) :: values(local%lower(1):, local%lower(2):)
    real(real64) :: expected
    integer :: i, j
    do j = int(local%lower(2)), int(local%upper(2))
      do i = int(local%lower(1)), int(local%upper(1))
        expected = -1
        if (all([i, j] >= local%first(:2) .and. [i, j] <= local%last(:2))) expected = value(i, j)
        call check(.not. abs(values(i, j) - expected) > 0, "element by its global index")
      end do
    end do
  end subroutine

  ! The ranks but the last give, the last one takes; a rank that is alone does both.
  subroutine from_the_first_to_the_last()
    type(maestro_layout) :: from, to
    type(maestro_plan) :: plan
    integer(int64), allocatable :: given(:), taken(:)
    integer :: status, givers, i
    logical :: gives, takes
    givers = max(nranks - 1, 1)
    gives = rank < givers
    takes = rank == nranks - 1
    allocate (given(merge(20, 0, gives)), taken(merge(20 * givers, 0, takes)))
    if (gives) call from%boxes([20 * givers], [20 * rank + 1], [20 * rank + 20])
    if (takes) call to%blocks([20 * givers], [1])
    given = [(20 * rank + i, i=1, size(given))]
    taken = 0
    call plan%create(from, to, MAESTRO_I64, comm, to_part=1, try_from=given, try_to=taken)
    call check(nranks == 1 .or. all(taken == [(i, i=1, size(taken))]), "arrays of some ranks are tried")
    taken = 0
    call plan%start(given, taken)
    do
      call plan%test(status)
      if (status /= MAESTRO_IN_PROGRESS) exit
    end do
    call check(status == MAESTRO_OK .and. all(taken == [(i, i=1, size(taken))]), "from some ranks to one")
    if (gives .and. .not. takes) call plan%run(from=given)
    if (takes .and. .not. gives) call plan%run(to=taken)
    if (gives .and. takes) call plan%run(given, taken)
    call plan%destroy()
    call from%destroy()
    call to%destroy()
  end subroutine

  subroutine several_fields()
    type(maestro_layout) :: rows, columns
    type(maestro_plan) :: plan
    real(real64), pointer :: u(:, :), u2(:, :), v(:, :), v2(:, :)
    type(maestro_local) :: local
    integer :: i, j, status
    call rows%blocks([9, 11], [nranks, 1])
    call columns%blocks([9, 11], [1, nranks])
    call maestro_alloc(u, rows, rank + 1)
    call maestro_alloc(v, rows, rank + 1)
    call maestro_alloc(u2, columns, rank + 1)
    call maestro_alloc(v2, columns, rank + 1)
    do j = 1, 11
      do i = lbound(u, 1), ubound(u, 1)
        u(i, j) = value(i, j)
      end do
    end do
    v = -u
    call columns%local(rank + 1, local)
    call plan%create(rows, columns, MAESTRO_F64, comm, max_fields=2)
    call plan%add(v, v2)
    call plan%run(u, u2)
    v2 = -v2
    call check_columns(u2, local)
    call check_columns(v2, local)
    u2 = 0
    call plan%run(u, u2)  ! what was added was moved once
    call check_columns(u2, local)
    call plan%add(u, u2)
    call plan%add(v, v2)
    call plan%add(v, v2, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "add a field: the plan was made for 2|max_fields")
    call plan%start()
    call plan%wait(timeout_s=30d0)
    call plan%destroy()
    call maestro_dealloc(u)
    call maestro_dealloc(v)
    call maestro_dealloc(u2)
    call maestro_dealloc(v2)
    call rows%destroy()
    call columns%destroy()
  end subroutine

  ! Fields of two types on either side; arrays have the type of theirs.
  subroutine converted_fields()
    type(maestro_layout) :: rows, columns
    type(maestro_plan) :: plan
    real(real32) :: single(2, 2 * nranks)
    real(real64) :: double(2 * nranks, 2)
    complex(real64) :: z(2, 2 * nranks), w(2 * nranks, 2)
    integer :: i, j, status
    call rows%blocks([2 * nranks, 2 * nranks], [nranks, 1])
    call columns%blocks([2 * nranks, 2 * nranks], [1, nranks])
    do j = 1, 2 * nranks
      do i = 1, 2
        single(i, j) = 100 * (2 * rank + i) + j
        z(i, j) = cmplx(single(i, j), j, real64)
      end do
    end do
    call plan%create(rows, columns, [maestro_field(MAESTRO_F32, to=MAESTRO_F64, scale=0.5d0), &
      maestro_field(MAESTRO_C128, scale=0d0, scale_imaginary=1d0, conjugate=.true.)], comm)
    call plan%add(single, double)
    call plan%run(z, w)
    do j = 1, 2
      do i = 1, 2 * nranks
        call check(nint(2 * double(i, j)) == 100 * i + 2 * rank + j, "an element that is converted and scaled")
        call check(abs(w(i, j) - cmplx(2 * rank + j, 100 * i + 2 * rank + j, real64)) < 1d-9, "an element that is conjugated")
      end do
    end do
    call plan%run(double, w, status=status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "source|real(real64)|real(real32)")
    call plan%destroy()
    call rows%destroy()
    call columns%destroy()
  end subroutine

  ! Each rank has every nranks-th element, the last one first, and gets some columns, as two boxes.
  subroutine of_boxes_and_numbers()
    type(maestro_layout) :: from, to
    type(maestro_plan) :: plan
    integer(int32), allocatable :: numbers(:), taken(:)
    integer, parameter :: n = 6
    integer :: i, j, m, k
    m = 2 * nranks
    allocate (numbers(n * m / nranks), source=[(i, i=n * m - rank, 1, -nranks)])
    call from%indices([n, m], numbers)
    call to%boxes([n, m], reshape([3, 2 * rank + 1, 1, 2 * rank + 1], [2, 2]), reshape([n, 2 * rank + 2, 2, 2 * rank + 2], [2, 2]))
    allocate (taken(2 * n))
    call plan%create(from, to, MAESTRO_I32, comm)
    call plan%run(numbers, taken)
    call check(all(taken == [((i + (j - 1) * n, i=3, n), j=2 * rank + 1, 2 * rank + 2), &
      ((i + (j - 1) * n, i=1, 2), j=2 * rank + 1, 2 * rank + 2)]), "elements by their numbers, to boxes")
    do k = 1, size(taken)
      call check(taken(k) > 0, "an element")
    end do
    call plan%destroy()
    call from%destroy()
    call to%destroy()
  end subroutine

  ! Refused before anything is sent; the plan goes on.
  subroutine wrong_arrays()
    type(maestro_layout) :: rows, columns
    type(maestro_plan) :: plan
    real(real64), allocatable :: from(:, :), to(:, :), longer(:, :), flat(:)
    real(real32), allocatable :: single(:, :)
    integer(int64), allocatable :: whole(:, :)
    integer :: mine, status
    call rows%blocks([4 * nranks, 6], [nranks, 1])
    call columns%blocks([4 * nranks, 6], [1, nranks], order=MAESTRO_ROW_MAJOR)
    mine = 6 / nranks + merge(1, 0, rank < mod(6, nranks))
    allocate (from(4, 6), to(mine, 4 * nranks), longer(8, 6), flat(24), single(4, 6), whole(4, 6))
    from = 1
    call plan%create(rows, columns, MAESTRO_F64, comm)
    call plan%start(longer, to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "source: dimension 1 has the length 8|is 4|(4,6)")
    call plan%start(longer(::2, :), to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "source|gaps|copy")
    call plan%run(longer(1:4, :), to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "source|gaps|copy")
    call plan%run(single, to, status=status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "source|real(real32)|real(real64)")
    call plan%run(whole, to, status=status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "source|integer(int64)|real(real64)")
    call plan%run(flat, to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "source|1 dimensions|(4,6)")
    call plan%run(from, longer, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "target: dimension 1 has the length 8")
    call plan%wait(status=status)
    call check_refused(status, MAESTRO_WRONG_STATE, "started")
    call plan%run(from, to)
    call plan%start(status=status)  ! not the arrays of the use before
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "field 0 of the source is NULL")
    call plan%run(2 * from, to)  ! an expression has an array of its own until the end of the call
    call check(all(abs(to - 2) < tiny(to)), "an expression is moved")
    call plan%run(longer(:, 1:3), to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "source")
    call plan%destroy()
    call plan%destroy()  ! a second time does nothing
    call plan%start(from, to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "the plan is NULL")
    call rows%destroy()
    call columns%destroy()
  end subroutine

  ! A plan is tried with what it will move where something moves between ranks, and moves it afterwards.
  subroutine tried_arrays()
    type(maestro_layout) :: rows, columns
    type(maestro_plan) :: plan
    type(maestro_local) :: local
    real(real64), allocatable :: from(:, :), to(:, :)
    integer :: i, j, method, status
    call rows%blocks([4 * nranks, 6], [nranks, 1])
    call columns%blocks([4 * nranks, 6], [1, nranks], low=[1, 0], high=[0, 1])
    call columns%local(rank + 1, local)
    allocate (from(4 * rank + 1:4 * rank + 4, 6), to(local%lower(1):local%upper(1), local%lower(2):local%upper(2)))
    do j = 1, 6
      do i = 4 * rank + 1, 4 * rank + 4
        from(i, j) = value(i, j)
      end do
    end do
    do method = MAESTRO_METHOD_AUTO, MAESTRO_METHOD_AUTO_PRIVATE, MAESTRO_METHOD_AUTO_PRIVATE - MAESTRO_METHOD_AUTO
      to = -1
      call plan%create(rows, columns, MAESTRO_F64, comm, method, try_from=from, try_to=to)
      if (nranks > 1) call check_columns(to, local)
      to = -1
      call plan%run(from, to)
      call check_columns(to, local)
      call plan%destroy()
    end do
    to = -1
    call plan%create(rows, columns, MAESTRO_F64, comm, max_fields=2, try_from=from, try_to=to)
    call check(.not. any(abs(to + 1) > 0), "one array is not tried as two")
    call plan%destroy()
    call plan%create(rows, columns, MAESTRO_F64, comm, try_from=from, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "field 0 of the target is NULL")
    call rows%destroy()
    call columns%destroy()
  end subroutine

  ! The last rank alone gives a wrong one: it hears which, and the others that there is no plan.
  subroutine wrong_tried_arrays()
    type(maestro_layout) :: rows, columns, none
    type(maestro_plan) :: plan
    real(real64), allocatable :: from(:, :), to(:, :), longer(:, :)
    real(real32), allocatable :: single(:, :)
    integer :: length, status
    logical :: last
    call rows%blocks([4 * nranks, 2 * nranks], [nranks, 1])
    call columns%blocks([4 * nranks, 2 * nranks], [1, nranks])
    last = rank == nranks - 1
    length = merge(8, 4, last)
    allocate (from(4, 2 * nranks), to(4 * nranks, 2), longer(length, 2 * nranks), single(4, 2 * nranks))
    from = 1
    longer = 1
    single = 1
    to = 0
    call plan%create(rows, columns, MAESTRO_F64, comm, try_from=longer, try_to=to, status=status)
    call check_wrong(status, "redistribute: try_from: dimension 1 has the length 8|is 4")
    if (last) call plan%create(rows, columns, MAESTRO_F64, comm, MAESTRO_METHOD_PACKED, try_from=single, status=status)
    if (.not. last) call plan%create(rows, columns, MAESTRO_F64, comm, MAESTRO_METHOD_PACKED, try_from=from, status=status)
    call check_wrong(status, "redistribute: try_from: its elements are real(real32)|real(real64)")
    if (last) call plan%create(rows, columns, MAESTRO_F64, comm, max_fields=2, try_to=from(::2, :), status=status)
    if (.not. last) call plan%create(rows, columns, MAESTRO_F64, comm, max_fields=2, status=status)
    call check_wrong(status, "redistribute: try_to: dimension")
    if (last) call plan%create(none, columns, MAESTRO_F64, comm, try_from=from, status=status)
    if (.not. last) call plan%create(rows, columns, MAESTRO_F64, comm, try_from=from, status=status)
    call check_wrong(status, "redistribute: try_from: this rank has no part|leave the argument away")
    call plan%create(rows, columns, MAESTRO_F64, comm, from_part=merge(0, rank + 1, last), try_from=from, status=status)
    call check_wrong(status, "redistribute: a part is less than 1")
    call plan%create(rows, columns, MAESTRO_F64, comm, max_fields=0, try_from=from, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "max_fields")
    call check(.not. any(abs(to) > 0), "nothing is tried with wrong arrays")
    call plan%run(from, to, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "the plan is NULL")
    call rows%destroy()
    call columns%destroy()
  end subroutine

  ! All ranks must have been told, and the last one in these words.
  subroutine check_wrong(status, words)
    integer, intent(in) :: status
    character(*), intent(in) :: words
    call check(status == MAESTRO_INVALID_ARGUMENT, "all ranks are told")
    if (rank == nranks - 1) call check_refused(status, MAESTRO_INVALID_ARGUMENT, words)
  end subroutine

  subroutine without_communicator(expected, words)
    integer, intent(in) :: expected
    character(*), intent(in) :: words
    type(maestro_layout) :: layout
    type(maestro_plan) :: plan
    real(real64) :: values(6) = 0
    integer :: status
    call layout%blocks([12], [2])
    call plan%create(layout, layout, MAESTRO_F64, -12345, try_from=values, status=status)
    call check_refused(status, expected, words)
    call layout%destroy()
  end subroutine

  ! Every rank hears of what one does wrong.
  subroutine wrong_plans()
    type(maestro_layout) :: rows, columns
    type(maestro_plan) :: plan
    type(maestro_halo) :: halo
    integer :: status, part
    call rows%blocks([8, 6], [nranks, 1])
    call columns%blocks([8, 6], [1, nranks])
    call plan%create(rows, columns, 3, comm, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "")
    call plan%create(rows, columns, MAESTRO_F64, comm, max_fields=merge(0, 1, rank == nranks - 1), status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "max_fields")
    call plan%create(rows, columns, MAESTRO_F64, comm, method=99, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "method 99")
    call plan%create(rows, columns, MAESTRO_F64, comm, from_part=merge(0, rank + 1, rank == nranks - 1), status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, trim(merge("redistribute: a part is less than 1", &
      "has no part -2                     ", rank == nranks - 1)))
    call plan%create(rows, columns, MAESTRO_F64, comm, to_part=-3, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "redistribute: a part is less than 1; the first is 1")
    call halo%create(rows, MAESTRO_F64, comm, part=0, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "halo: a part is less than 1")
    call maestro_relabel(rows, columns, comm, part, from_part=0, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "relabel: a part is less than 1")
    call columns%destroy()
    call columns%blocks([8, 7], [1, nranks])
    call plan%create(rows, columns, MAESTRO_F64, comm, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "")
    call rows%destroy()
    call rows%boxes([8, 7], [1, 1], [8, merge(7, 0, rank == 0)])
    call rows%destroy()
    call rows%boxes([8, 7], [1, 2], [8, 7])
    if (rank > 0) call rows%destroy()
    call plan%create(rows, columns, MAESTRO_F64, comm, status=status)
    call check_refused(status, MAESTRO_NOT_FOUND, "has no source")
    call plan%create(rows, columns, MAESTRO_F64, comm, partial=.true.)
    call plan%destroy()
    call rows%destroy()
    call columns%destroy()
  end subroutine

  subroutine wrong_memory()
    type(maestro_layout) :: layout
    real(real64), pointer :: values(:, :), others(:)
    integer :: status
    call layout%blocks([4, 4], [1, 1])
    call maestro_alloc(others, layout, 1, status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "the part has 2 dimensions, and the pointer 1")
    call check(.not. associated(others), "no array of another rank")
    call maestro_alloc(values, layout, 2, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "part")
    allocate (values(4, 4))
    call maestro_dealloc(values, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "maestro_alloc")
    call check(associated(values), "what was not given back is there")
    deallocate (values)
    call maestro_dealloc(values)
    call layout%destroy()
    call layout%blocks([4, 0], [1, 1])
    call maestro_alloc(values, layout, 1)
    call check(associated(values) .and. all(shape(values) == [4, 0]), "an array without elements")
    call maestro_dealloc(values)
    call layout%destroy()
  end subroutine
end program
