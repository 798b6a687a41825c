! Plans: redistributions, maestro_plan, and halo exchanges, maestro_halo.
!
! Arrays are passed as they are declared, of any type and rank: they must have the type that the plan was made for, the shape of
! this rank's part, ghosts included, and no gaps.  None is ever copied before the plan takes it.
module maestro_plans
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use maestro_c
  use maestro_constants
  use maestro_errors
  use maestro_layouts, only: maestro_layout, unlike
  implicit none
  private
  public :: maestro_plan, maestro_halo, maestro_field, c_part, finish_parts

  integer, parameter :: no_part = -2  ! to C, for which -1 is the default

  ! Source or target, as this rank has it.
  type :: side
    type(maestro_local_t) :: part
    integer(c_int), allocatable :: element(:)
    type(c_ptr), allocatable :: field(:)
  end type

  ! The handle is C's; null before the plan is made and after it is destroyed.
  type, abstract :: exchange
    type(c_ptr) :: handle = c_null_ptr
    type(side), private :: from, to
    integer, private :: nadded = 0
  contains
    procedure :: wait => exchange_wait
    procedure :: test => exchange_test
    procedure :: explain => exchange_explain
    procedure :: destroy => exchange_destroy
  end type

  type, extends(exchange) :: maestro_plan
  contains
    procedure, private :: plan_create, plan_create_fields
    generic :: create => plan_create, plan_create_fields
    procedure :: add => plan_add
    procedure :: start => plan_start
    procedure :: run => plan_run
  end type

  type, extends(exchange) :: maestro_halo
  contains
    procedure, private :: halo_create, halo_create_fields
    generic :: create => halo_create, halo_create_fields
    procedure :: add => halo_add
    procedure :: start => halo_start
    procedure :: run => halo_run
  end type

  interface
    function array_address(array, part, element, name, address) bind(c, name="mst_fortran_array") result(code)
      import
      type(*), intent(in), optional :: array(..)
      type(maestro_local_t), intent(in) :: part
      integer(c_int), intent(in), value :: element
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr), intent(out) :: address
      integer(c_int) :: code
    end function
    function own_rank(comm) bind(c, name="mst_fortran_rank") result(rank)
      import
      integer(c_int), intent(in), value :: comm
      integer(c_int) :: rank
    end function
  end interface

contains

  ! ---- Making
  ! A field that is converted on its way: to = scale * from, or its conjugate.  What is not given is as maestro_field_init says.
  function maestro_field(from, to, scale, scale_imaginary, conjugate) result(field)
    integer, intent(in) :: from
    integer, intent(in), optional :: to
    real(real64), intent(in), optional :: scale, scale_imaginary
    logical, intent(in), optional :: conjugate
    type(maestro_field_t) :: field
    call c_field_init(field, int(from, c_int))
    if (present(to)) field%to = int(to, c_int)
    if (present(scale)) field%scale = scale
    if (present(scale_imaginary)) field%scale_imaginary = scale_imaginary
    if (present(conjugate)) field%conjugate = conjugate
  end function

  ! Makes a plan for up to max_fields fields (default 1) of one type.  Collective.  A layout that was not made is of a rank that has
  ! no part of that side.  AUTO tries methods with the arrays that all ranks give of what they have, which a use writes; else, and
  ! where there is more than one field, with its own.
  subroutine plan_create(plan, from, to, element, comm, method, partial, from_part, to_part, max_fields, try_from, try_to, status)
    class(maestro_plan), intent(out) :: plan
    type(maestro_layout), intent(in) :: from, to
    integer, intent(in) :: element, comm
    integer, intent(in), optional :: method, from_part, to_part, max_fields
    logical, intent(in), optional :: partial
    type(*), intent(in), optional :: try_from(..)
    type(*), intent(inout), optional :: try_to(..)
    integer, intent(out), optional :: status
    type(maestro_plan_options_t) :: options
    call take_options(options, method, from_part, to_part, partial)
    if (present(max_fields)) options%max_fields = max_fields
    call make_plan(plan, from, to, element, comm, options, alike(element, max_fields), alike(element, max_fields), try_from, &
      try_to, status)
  end subroutine

  ! Makes a plan for as many fields as are given, each as it says.
  subroutine plan_create_fields(plan, from, to, fields, comm, method, partial, from_part, to_part, status)
    class(maestro_plan), intent(out) :: plan
    type(maestro_layout), intent(in) :: from, to
    type(maestro_field_t), intent(in) :: fields(:)
    integer, intent(in) :: comm
    integer, intent(in), optional :: method, from_part, to_part
    logical, intent(in), optional :: partial
    integer, intent(out), optional :: status
    type(maestro_plan_options_t) :: options
    type(maestro_field_t), target :: given(size(fields))
    given = fields
    call take_options(options, method, from_part, to_part, partial)
    call take_fields(options, given)
    call make_plan(plan, from, to, first(given), comm, options, (given%from), (given%to), status=status)
  end subroutine

  ! Makes a plan that fills the ghost cells of up to max_fields fields (default 1) of one type.  Collective.  AUTO tries methods as
  ! plan_create says.
  subroutine halo_create(halo, layout, element, comm, method, part, periodic, max_fields, try_to, status)
    class(maestro_halo), intent(out) :: halo
    type(maestro_layout), intent(in) :: layout
    integer, intent(in) :: element, comm
    integer, intent(in), optional :: method, part, max_fields
    logical, intent(in), optional :: periodic(:)
    type(*), intent(inout), optional :: try_to(..)
    integer, intent(out), optional :: status
    type(maestro_plan_options_t) :: options
    call take_options(options, method, part)
    if (present(max_fields)) options%max_fields = max_fields
    call make_halo(halo, layout, element, comm, options, alike(element, max_fields), periodic, try_to, status)
  end subroutine

  ! Makes one for as many fields as are given, each of its type.
  subroutine halo_create_fields(halo, layout, fields, comm, method, part, periodic, status)
    class(maestro_halo), intent(out) :: halo
    type(maestro_layout), intent(in) :: layout
    type(maestro_field_t), intent(in) :: fields(:)
    integer, intent(in) :: comm
    integer, intent(in), optional :: method, part
    logical, intent(in), optional :: periodic(:)
    integer, intent(out), optional :: status
    type(maestro_plan_options_t) :: options
    type(maestro_field_t), target :: given(size(fields))
    given = fields
    call take_options(options, method, part)
    call take_fields(options, given)
    call make_halo(halo, layout, first(given), comm, options, (given%to), periodic, status=status)
  end subroutine

  ! What this rank alone finds wrong is made wrong for C too, which tells all ranks.
  subroutine make_plan(plan, from, to, element, comm, options, from_elements, to_elements, try_from, try_to, status)
    type(maestro_plan), intent(inout), target :: plan
    type(maestro_layout), intent(in) :: from, to
    integer, intent(in) :: element, comm
    type(maestro_plan_options_t), intent(inout) :: options
    integer(c_int), intent(in) :: from_elements(:), to_elements(:)
    type(*), intent(in), optional :: try_from(..), try_to(..)
    integer, intent(out), optional :: status
    character(:), allocatable :: wrong
    integer(c_int) :: code
    wrong = ""
    call prepare(plan%from, from, from_elements, comm, options%from_part)
    call prepare(plan%to, to, to_elements, comm, options%to_part)
    call take_tried(plan%from, from, "try_from", try_from, options%try_from, wrong)
    call take_tried(plan%to, to, "try_to", try_to, options%try_to, wrong)
    if (wrong /= "") options%size = 0
    code = c_redistribute(from%handle, to%handle, element, comm, options, plan%handle)
    plan%from%field = c_null_ptr
    plan%to%field = c_null_ptr
    if (wrong /= "") then
      call refuse(int(code), "redistribute: " // wrong, status)
    else
      call finish_parts(code, "redistribute", options, status)
    end if
  end subroutine

  subroutine make_halo(halo, layout, element, comm, options, elements, periodic, try_to, status)
    type(maestro_halo), intent(inout), target :: halo
    type(maestro_layout), intent(in) :: layout
    integer, intent(in) :: element, comm
    type(maestro_plan_options_t), intent(inout) :: options
    integer(c_int), intent(in) :: elements(:)
    logical, intent(in), optional :: periodic(:)
    type(*), intent(in), optional :: try_to(..)
    integer, intent(out), optional :: status
    character(:), allocatable :: wrong
    integer(c_int) :: code
    wrong = ""
    if (present(periodic)) then
      if (c_associated(layout%handle)) wrong = unlike("periodic", size(periodic), layout%ndims)
      if (size(periodic) > size(options%periodic)) wrong = unlike("periodic", size(periodic), size(options%periodic))
      if (wrong == "") options%periodic(:size(periodic)) = periodic
    end if
    call prepare(halo%to, layout, elements, comm, options%from_part)
    call take_tried(halo%to, layout, "try_to", try_to, options%try_to, wrong)
    if (wrong /= "") options%size = 0
    code = c_halo(layout%handle, element, comm, options, halo%handle)
    halo%to%field = c_null_ptr
    if (wrong /= "") then
      call refuse(int(code), "halo: " // wrong, status)
    else
      call finish_parts(code, "halo", options, status)
    end if
  end subroutine

  subroutine take_options(options, method, from_part, to_part, partial)
    type(maestro_plan_options_t), intent(inout) :: options
    integer, intent(in), optional :: method, from_part, to_part
    logical, intent(in), optional :: partial
    call c_plan_options_init(options)
    if (present(method)) options%method = int(method, c_int)
    if (present(from_part)) options%from_part = c_part(from_part)
    if (present(to_part)) options%to_part = c_part(to_part)
    if (present(partial)) options%partial = partial
  end subroutine

  ! A part as C counts; what is none is one that C refuses on all ranks.
  pure function c_part(part)
    integer, intent(in) :: part
    integer(c_int64_t) :: c_part
    c_part = merge(part - 1, no_part, part >= 1)
  end function

  ! On the rank that gave no part the refusal is in Fortran's numbers.
  subroutine finish_parts(code, what, options, status)
    integer(c_int), intent(in) :: code
    character(*), intent(in) :: what
    type(maestro_plan_options_t), intent(in) :: options
    integer, intent(out), optional :: status
    if (code /= 0 .and. any([options%from_part, options%to_part] == no_part)) then
      call refuse(int(code), what // ": a part is less than 1; the first is 1, and without the argument it is this rank's", status)
    else
      call finish(code, status)
    end if
  end subroutine

  subroutine take_fields(options, fields)
    type(maestro_plan_options_t), intent(inout) :: options
    type(maestro_field_t), intent(in), target :: fields(:)
    options%max_fields = size(fields, kind=c_size_t)
    options%fields = c_loc(fields)
  end subroutine

  pure function alike(element, max_fields) result(elements)
    integer, intent(in) :: element
    integer, intent(in), optional :: max_fields
    integer(c_int), allocatable :: elements(:)
    integer :: count
    count = 1
    if (present(max_fields)) count = max(max_fields, 0)
    allocate (elements(count), source=int(element, c_int))
  end function

  ! No field is an error, and that not of the element.
  pure function first(fields) result(element)
    type(maestro_field_t), intent(in) :: fields(:)
    integer(c_int) :: element
    element = MAESTRO_BYTES_1
    if (size(fields) > 0) element = fields(1)%from
  end function

  ! Keeps what arrays of a side must be.
  subroutine prepare(one, layout, elements, comm, part)
    type(side), intent(inout) :: one
    type(maestro_layout), intent(in) :: layout
    integer(c_int), intent(in) :: elements(:)
    integer, intent(in) :: comm
    integer(c_int64_t), intent(in) :: part
    integer(c_int64_t) :: number
    integer(c_int) :: code
    one%element = elements
    allocate (one%field(size(elements)))
    one%field = c_null_ptr
    one%part%ndims = 0
    if (.not. c_associated(layout%handle)) return
    number = part
    if (part == -1) number = merge(0_c_int64_t, int(own_rank(comm), c_int64_t), layout%nparts() == 1)
    code = c_layout_local(layout%handle, number, one%part)
  end subroutine

  ! The array that methods are tried with, as a start takes it: the first field, until C has seen it.  No such part, and no field,
  ! are for C to refuse.
  subroutine take_tried(one, layout, name, array, fields, wrong)
    type(side), intent(inout), target :: one
    type(maestro_layout), intent(in) :: layout
    character(*), intent(in) :: name
    type(*), intent(in), optional :: array(..)
    type(c_ptr), intent(inout) :: fields
    character(:), allocatable, intent(inout) :: wrong
    if (.not. present(array) .or. size(one%field) == 0) return
    if (c_associated(layout%handle) .and. one%part%ndims == 0) return
    if (taken(one, 1, name, array) /= 0) wrong = text_at(c_last_error())
    if (size(one%field) == 1) fields = c_loc(one%field)
  end subroutine

  ! ---- Use
  ! Adds a field to those that the next start moves.  It must not be an expression, and live until the plan is done.
  subroutine plan_add(plan, from, to, status)
    class(maestro_plan), intent(inout) :: plan
    type(*), intent(inout), asynchronous, optional :: from(..), to(..)
    integer, intent(out), optional :: status
    call finish(added(plan, from, to), status)
  end subroutine

  ! Starts to move the fields that were added, and the one given; arguments are left away where this rank has no part.  The arrays
  ! are asynchronous until the wait: sources are not written, targets not touched.  They may lie on a device, by their addresses there
  ! (within `host_data use_device` or `target data use_device_addr`, or pointers of c_f_pointer): then `stream` is CUDA's, whose work on
  ! them comes before; the default one if there is none.
  subroutine plan_start(plan, from, to, stream, status)
    class(maestro_plan), intent(inout) :: plan
    type(*), intent(inout), asynchronous, optional :: from(..), to(..)
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    integer(c_int) :: code
    code = made(plan)
    if (code == 0 .and. (present(from) .or. present(to))) code = added(plan, from, to)
    if (code == 0) code = c_plan_start_on(plan%handle, or_default(stream), nfields(plan), plan%from%field, plan%to%field)
    call forget(plan)
    call finish(code, status)
  end subroutine

  ! Start and wait.
  subroutine plan_run(plan, from, to, stream, status)
    class(maestro_plan), intent(inout) :: plan
    type(*), intent(in), optional :: from(..)
    type(*), intent(inout), optional :: to(..)
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    integer(c_int) :: code
    code = made(plan)
    if (code == 0 .and. (present(from) .or. present(to))) code = added(plan, from, to)
    if (code == 0) code = c_plan_start_on(plan%handle, or_default(stream), nfields(plan), plan%from%field, plan%to%field)
    if (code == 0) code = c_plan_wait(plan%handle, seconds())
    call forget(plan)
    call finish(code, status)
  end subroutine

  ! Adds a field to those that the next start exchanges.
  subroutine halo_add(halo, field, status)
    class(maestro_halo), intent(inout) :: halo
    type(*), intent(inout), asynchronous, optional :: field(..)
    integer, intent(out), optional :: status
    call finish(added_halo(halo, field), status)
  end subroutine

  ! Starts to fill the ghost cells of the fields that were added and of those given.  Until the wait their own cells are not written
  ! and their ghosts not read.  On a device, and with `stream`, as the start of a plan.
  subroutine halo_start(halo, first, second, third, fourth, stream, status)
    class(maestro_halo), intent(inout) :: halo
    type(*), intent(inout), asynchronous, optional :: first(..), second(..), third(..), fourth(..)
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    integer(c_int) :: code
    code = added_halos(halo, first, second, third, fourth)
    if (code == 0) code = c_plan_start_on(halo%handle, or_default(stream), nfields(halo), halo%to%field, halo%to%field)
    call forget(halo)
    call finish(code, status)
  end subroutine

  ! Start and wait.
  subroutine halo_run(halo, first, second, third, fourth, stream, status)
    class(maestro_halo), intent(inout) :: halo
    type(*), intent(inout), optional :: first(..), second(..), third(..), fourth(..)
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    integer(c_int) :: code
    code = added_halos(halo, first, second, third, fourth)
    if (code == 0) code = c_plan_start_on(halo%handle, or_default(stream), nfields(halo), halo%to%field, halo%to%field)
    if (code == 0) code = c_plan_wait(halo%handle, seconds())
    call forget(halo)
    call finish(code, status)
  end subroutine

  ! C has taken the fields; the next start gives others, or none.
  pure subroutine forget(plan)
    class(exchange), intent(inout) :: plan
    plan%nadded = 0
    if (allocated(plan%from%field)) plan%from%field = c_null_ptr
    if (allocated(plan%to%field)) plan%to%field = c_null_ptr
  end subroutine

  pure function or_default(stream)
    type(c_ptr), intent(in), optional :: stream
    type(c_ptr) :: or_default
    or_default = c_null_ptr
    if (present(stream)) or_default = stream
  end function

  function added(plan, from, to) result(code)
    type(maestro_plan), intent(inout) :: plan
    type(*), intent(in), optional :: from(..), to(..)
    integer(c_int) :: code
    code = room(plan)
    if (code == 0) code = taken(plan%from, plan%nadded + 1, "redistribution, source", from)
    if (code == 0) code = taken(plan%to, plan%nadded + 1, "redistribution, target", to)
    if (code == 0) plan%nadded = plan%nadded + 1
  end function

  function taken(one, number, name, array) result(code)
    type(side), intent(inout) :: one
    integer, intent(in) :: number
    character(*), intent(in) :: name
    type(*), intent(in), optional :: array(..)
    integer(c_int) :: code
    code = array_address(array, one%part, one%element(number), c_text(name), one%field(number))
  end function

  function added_halo(halo, field) result(code)
    type(maestro_halo), intent(inout) :: halo
    type(*), intent(in), optional :: field(..)
    integer(c_int) :: code
    code = room(halo)
    if (code == 0) code = taken(halo%to, halo%nadded + 1, "halo exchange", field)
    if (code == 0) halo%nadded = halo%nadded + 1
  end function

  function added_halos(halo, first, second, third, fourth) result(code)
    type(maestro_halo), intent(inout) :: halo
    type(*), intent(in), optional :: first(..), second(..), third(..), fourth(..)
    integer(c_int) :: code
    code = made(halo)
    if (code == 0 .and. present(first)) code = added_halo(halo, first)
    if (code == 0 .and. present(second)) code = added_halo(halo, second)
    if (code == 0 .and. present(third)) code = added_halo(halo, third)
    if (code == 0 .and. present(fourth)) code = added_halo(halo, fourth)
  end function

  ! Refuses a field more than the plan was made for.
  function room(plan) result(code)
    class(exchange), intent(in) :: plan
    integer(c_int) :: code
    character(120) :: text
    code = made(plan)
    if (code /= 0) return
    if (plan%nadded < size(plan%to%element)) return
    write (text, "(a,i0,a)") "add a field: the plan was made for ", plan%nadded, "; make it for more, by max_fields or fields"
    call c_error_record(c_text(text))
    code = MAESTRO_INVALID_ARGUMENT
  end function

  ! Refuses, in the library's words, a plan that was not made, or is destroyed.
  function made(plan) result(code)
    class(exchange), intent(in) :: plan
    integer(c_int) :: code
    code = 0
    if (.not. c_associated(plan%handle)) code = c_plan_test(plan%handle)
  end function

  ! How many fields a start moves: a rank that has no part gives none, and is asked for one.
  pure function nfields(plan)
    class(exchange), intent(in) :: plan
    integer(c_size_t) :: nfields
    nfields = max(plan%nadded, 1)
  end function

  ! Waits until targets are complete and sources may be written.  MAESTRO_TIMEOUT: the plan goes on; wait again.
  subroutine exchange_wait(plan, timeout_s, status)
    class(exchange), intent(in) :: plan
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_plan_wait(plan%handle, seconds(timeout_s)), status)
  end subroutine

  ! Does what can be done at once: MAESTRO_OK, MAESTRO_IN_PROGRESS or the error.
  subroutine exchange_test(plan, status)
    class(exchange), intent(in) :: plan
    integer, intent(out) :: status
    call finish(c_plan_test(plan%handle), status)
  end subroutine

  ! What a use of one field does on this rank, as JSON.
  subroutine exchange_explain(plan, json, status)
    class(exchange), intent(in) :: plan
    character(:), allocatable, intent(inout) :: json
    integer, intent(out), optional :: status
    type(c_ptr) :: address
    integer(c_int) :: code
    code = c_plan_explain(plan%handle, address)
    if (code == 0) call take_text(address, json)
    call finish(code, status)
  end subroutine

  ! Ends the plan, after the wait for a use that was started.  Collective.
  subroutine exchange_destroy(plan, status)
    class(exchange), intent(inout) :: plan
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = plan%handle
    plan%handle = c_null_ptr
    call finish(c_plan_destroy(handle), status)
  end subroutine

end module
