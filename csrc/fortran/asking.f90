! Asking for one object: demands, and requests that go on while the program does something else.
module maestro_asking
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use maestro_c
  use maestro_constants
  use maestro_errors
  use maestro_objects, only: maestro_cdo
  use maestro_sessions, only: maestro_session
  implicit none
  private
  public :: maestro_demand, maestro_request
  public :: maestro_demand_start, maestro_cdo_part_start, maestro_cdo_withdraw_start, maestro_withdraw_start
  public :: maestro_request_wait, maestro_request_test, maestro_request_cdo, maestro_request_count, maestro_request_dispose

  type :: maestro_request
    type(c_ptr) :: handle = c_null_ptr
  end type

contains

  ! Waits for exactly one identity that matches and leases its newest version; the caller disposes it.
  subroutine maestro_demand(session, selector, cdo, timeout_s, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    type(maestro_cdo), intent(out) :: cdo
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_demand(session%handle, c_text(selector), seconds(timeout_s), cdo%handle), status)
  end subroutine

  ! Starts a demand.
  subroutine maestro_demand_start(session, selector, request, timeout_s, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    type(maestro_request), intent(out) :: request
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_demand_start(session%handle, c_text(selector), seconds(timeout_s), request%handle), status)
  end subroutine

  ! Starts to ask for a part of an object of several parts.
  subroutine maestro_cdo_part_start(cdo, number, request, timeout_s, status)
    type(maestro_cdo), intent(in) :: cdo
    integer, intent(in) :: number
    type(maestro_request), intent(out) :: request
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_cdo_part_start(cdo%handle, int(number, c_int32_t), seconds(timeout_s), request%handle), status)
  end subroutine

  ! Starts maestro_cdo_withdraw.
  subroutine maestro_cdo_withdraw_start(cdo, request, when, timeout_s, status)
    type(maestro_cdo), intent(in) :: cdo
    type(maestro_request), intent(out) :: request
    integer, intent(in), optional :: when
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    integer(c_int) :: chosen
    chosen = MAESTRO_WHEN_RELEASED
    if (present(when)) chosen = int(when, c_int)
    call finish(c_cdo_withdraw_start(cdo%handle, chosen, seconds(timeout_s), request%handle), status)
  end subroutine

  ! Starts maestro_withdraw.
  subroutine maestro_withdraw_start(session, selector, request, when, timeout_s, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    type(maestro_request), intent(out) :: request
    integer, intent(in), optional :: when
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    integer(c_int) :: chosen
    chosen = MAESTRO_WHEN_RELEASED
    if (present(when)) chosen = int(when, c_int)
    call finish(c_withdraw_start(session%handle, c_text(selector), chosen, seconds(timeout_s), request%handle), status)
  end subroutine

  ! Waits for a request's end: MAESTRO_IN_PROGRESS when `timeout_s` has passed and the request's own time has not.
  subroutine maestro_request_wait(request, timeout_s, status)
    type(maestro_request), intent(in) :: request
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_request_wait(request%handle, seconds(timeout_s)), status)
  end subroutine

  ! MAESTRO_OK, MAESTRO_IN_PROGRESS or the error, at once.
  subroutine maestro_request_test(request, status)
    type(maestro_request), intent(in) :: request
    integer, intent(out) :: status
    call finish(c_request_test(request%handle), status)
  end subroutine

  ! The demanded object, once; the caller disposes it.
  subroutine maestro_request_cdo(request, cdo, status)
    type(maestro_request), intent(in) :: request
    type(maestro_cdo), intent(out) :: cdo
    integer, intent(out), optional :: status
    call finish(c_request_cdo(request%handle, cdo%handle), status)
  end subroutine

  ! How many objects were withdrawn.
  subroutine maestro_request_count(request, count, status)
    type(maestro_request), intent(in) :: request
    integer(int64), intent(inout) :: count
    integer, intent(out), optional :: status
    call finish(c_request_count(request%handle, count), status)
  end subroutine

  ! Ends a request; one that has not finished is taken back.
  subroutine maestro_request_dispose(request, status)
    type(maestro_request), intent(inout) :: request
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = request%handle
    request%handle = c_null_ptr
    call finish(c_request_dispose(handle), status)
  end subroutine

end module
