! Subscriptions: objects that match as they come, with their events.
module maestro_subscriptions
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use maestro_c
  use maestro_errors
  use maestro_objects, only: maestro_cdo
  use maestro_sessions, only: maestro_session
  implicit none
  private
  public :: maestro_subscription, maestro_event, maestro_subscribe, maestro_subscription_next, maestro_subscription_dispose

  type :: maestro_subscription
    type(c_ptr) :: handle = c_null_ptr
  end type

  ! What happened to an object; the members are those of maestro_event_t.
  type :: maestro_event
    integer :: kind = 0
    logical :: gone = .false., redelivered = .false.
    integer(int64) :: sequence = 0, gap_from = 0, gap_to = 0
    type(maestro_cdo) :: cdo
  end type

contains

  ! Subscribes; the selector " " is everything, start=MAESTRO_START_QUERY the live objects alone.  What is not given is as
  ! maestro_subscription_options_t says.
  subroutine maestro_subscribe(session, selector, subscription, kinds, start, hold, observe, window_bytes, group, limit, prefetch, &
      acknowledge_s, status)
    type(maestro_session), intent(in) :: session
    character(*), intent(in) :: selector
    type(maestro_subscription), intent(out) :: subscription
    integer, intent(in), optional :: kinds, start, window_bytes, limit, prefetch
    logical, intent(in), optional :: hold, observe
    character(*), intent(in), optional :: group
    real(real64), intent(in), optional :: acknowledge_s
    integer, intent(out), optional :: status
    type(maestro_subscription_options_t) :: options
    character(:, c_char), allocatable, target :: c_selector, c_group
    call c_subscription_options_init(options)
    if (selector /= "") c_selector = c_text(selector)
    if (present(kinds)) options%kinds = int(kinds, c_int32_t)
    if (present(start)) options%start = int(start, c_int)
    if (present(hold)) options%hold = hold
    if (present(observe)) options%observe = observe
    if (present(window_bytes)) options%window_bytes = window_bytes
    if (present(limit)) options%limit = int(limit, c_int32_t)
    if (present(prefetch)) options%prefetch = int(prefetch, c_int32_t)
    if (present(acknowledge_s)) options%acknowledge_s = acknowledge_s
    if (present(group)) then
      c_group = c_text(group)
      options%group = c_loc(c_group)
    end if
    call finish(c_subscribe(session%handle, c_selector, options, subscription%handle), status)
  end subroutine

  ! The next event, with a lease on its object, which the caller disposes.  MAESTRO_TIMEOUT when none came, MAESTRO_END after a
  ! query's last one.
  subroutine maestro_subscription_next(subscription, event, timeout_s, status)
    type(maestro_subscription), intent(in) :: subscription
    type(maestro_event), intent(out) :: event
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    type(maestro_event_t) :: found
    integer(c_int) :: code
    code = c_subscription_next(subscription%handle, seconds(timeout_s), found)
    if (code == 0) then
      event%kind = found%kind
      event%gone = found%gone
      event%redelivered = found%redelivered
      event%sequence = found%sequence
      event%gap_from = found%gap_from
      event%gap_to = found%gap_to
      event%cdo%handle = found%cdo
    end if
    call finish(code, status)
  end subroutine

  ! Ends a subscription; objects that it gave stay leased.
  subroutine maestro_subscription_dispose(subscription, status)
    type(maestro_subscription), intent(inout) :: subscription
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = subscription%handle
    subscription%handle = c_null_ptr
    call finish(c_subscription_dispose(handle), status)
  end subroutine

end module
