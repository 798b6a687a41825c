! A process's connection to the pool of its node, and what is asked of the pool as a whole.
module maestro_sessions
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use maestro_c
  use maestro_constants
  use maestro_errors
  implicit none
  private
  public :: maestro_session, maestro_session_open, maestro_session_flush, maestro_session_close
  public :: maestro_session_wake
  public :: maestro_session_stats, maestro_session_schema
  public :: maestro_selector_check, maestro_count, maestro_withdraw
  public :: maestro_need, maestro_require, maestro_retract

  ! The handle is C's, for programs that also call C; null when closed.
  type :: maestro_session
    type(c_ptr) :: handle = c_null_ptr
  end type

  ! That objects will be needed.
  type :: maestro_need
    type(c_ptr) :: handle = c_null_ptr
  end type

contains

  ! Opens a session; what is not given is as maestro_session_options_t says.
  subroutine maestro_session_open(session, pool, component, rank, schema, timeout_s, start_pool, relay, interruptible, priority, &
      status)
    type(maestro_session), intent(out) :: session
    character(*), intent(in), optional :: pool, component, schema
    integer, intent(in), optional :: rank, priority
    real(real64), intent(in), optional :: timeout_s
    logical, intent(in), optional :: start_pool, relay, interruptible
    integer, intent(out), optional :: status
    type(maestro_session_options_t) :: options
    character(:, c_char), allocatable, target :: c_pool, c_component, c_schema
    call c_session_options_init(options)
    call give(pool, c_pool, options%pool)
    call give(component, c_component, options%component)
    call give(schema, c_schema, options%schema)
    if (present(rank)) options%rank = rank
    if (present(priority)) options%priority = priority
    if (present(timeout_s)) options%timeout_s = timeout_s
    if (present(start_pool)) options%start_pool = start_pool
    if (present(relay)) options%relay = relay
    if (present(interruptible)) options%interruptible = interruptible
    call finish(c_session_open(options, session%handle), status)
  end subroutine

  ! An optional text, kept in `copy`, as the member of a C struct.
  subroutine give(text, copy, member)
    character(*), intent(in), optional :: text
    character(:, c_char), allocatable, target, intent(inout) :: copy
    type(c_ptr), intent(inout) :: member
    if (.not. present(text)) return
    copy = c_text(text)
    member = c_loc(copy)
  end subroutine

  ! Wakes a sleeping manager some microseconds before an offer or a demand, so that it need not be waited for; never fails.
  subroutine maestro_session_wake(session)
    type(maestro_session), intent(in) :: session
    call c_session_wake(session%handle)
  end subroutine

  ! Waits until the manager has taken or refused every offer so far.
  subroutine maestro_session_flush(session, timeout_s, status)
    type(maestro_session), intent(in) :: session
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_session_flush(session%handle, seconds(timeout_s)), status)
  end subroutine

  ! Flushes, then ends the session, also when the flush fails.
  subroutine maestro_session_close(session, status)
    type(maestro_session), intent(inout) :: session
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = session%handle
    session%handle = c_null_ptr
    call finish(c_session_close(handle), status)
  end subroutine

  ! The pool's counters and limits as JSON.
  subroutine maestro_session_stats(session, json, timeout_s, status)
    type(maestro_session), intent(in) :: session
    character(:), allocatable, intent(inout) :: json
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    type(c_ptr) :: address
    integer(c_int) :: code
    code = c_session_stats(session%handle, seconds(timeout_s), address)
    if (code == 0) call take_text(address, json)
    call finish(code, status)
  end subroutine

  ! The session's schema as JSON.
  subroutine maestro_session_schema(session, json, status)
    type(maestro_session), intent(in) :: session
    character(:), allocatable, intent(inout) :: json
    integer, intent(out), optional :: status
    type(c_ptr) :: address
    integer(c_int) :: code
    code = c_session_schema(session%handle, address)
    if (code == 0) call take_text(address, json)
    call finish(code, status)
  end subroutine

  ! Checks a selector against a schema (a built-in name or a file; absent: the core one) without a pool.
  subroutine maestro_selector_check(selector, schema, status)
    character(*), intent(in) :: selector
    character(*), intent(in), optional :: schema
    integer, intent(out), optional :: status
    character(:, c_char), allocatable :: c_schema
    if (present(schema)) c_schema = c_text(schema)
    call finish(c_selector_check(c_schema, c_text(selector)), status)
  end subroutine

  ! How many live objects match.
  subroutine maestro_count(session, selector, count, timeout_s, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    integer(int64), intent(inout) :: count
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_count(session%handle, c_text(selector), seconds(timeout_s), count), status)
  end subroutine

  ! Takes back all own objects that match: `when` is MAESTRO_WHEN_RELEASED (default) or _CONSUMED, with MAESTRO_OF_COMPONENT added
  ! or not.
  subroutine maestro_withdraw(session, selector, when, count, timeout_s, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    integer, intent(in), optional :: when
    integer(int64), intent(inout), optional :: count
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    integer(c_int) :: code, chosen
    integer(c_int64_t) :: withdrawn
    chosen = MAESTRO_WHEN_RELEASED
    if (present(when)) chosen = int(when, c_int)
    withdrawn = 0
    code = c_withdraw(session%handle, c_text(selector), chosen, seconds(timeout_s), withdrawn)
    if (code == 0 .and. present(count)) count = withdrawn
    call finish(code, status)
  end subroutine

  ! Declares that objects which match will be needed, until the need is retracted or the session ends.
  subroutine maestro_require(session, selector, need, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    type(maestro_need), intent(out) :: need
    integer, intent(out), optional :: status
    call finish(c_require(session%handle, c_text(selector), need%handle), status)
  end subroutine

  ! Ends the need.
  subroutine maestro_retract(need, status)
    type(maestro_need), intent(inout) :: need
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = need%handle
    need%handle = c_null_ptr
    call finish(c_retract(handle), status)
  end subroutine

end module
