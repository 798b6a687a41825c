! Objects from declaration to disposal: offers, demands, subscriptions, needs, requests, and what is refused.
program objects_test
  use, intrinsic :: iso_fortran_env, only: error_unit, int8, int32, int64, real32, real64
  use maestro
  implicit none
  integer :: failures = 0
  type(maestro_session) :: producer, consumer
  character(32) :: pool

  pool = own_pool()
  call maestro_session_open(producer, pool, "producer", schema="mars", timeout_s=10d0)
  call maestro_session_open(consumer, pool, "consumer", schema="mars", timeout_s=10d0)
  call offers_and_demands()
  call refused_offers()
  call arrays_of_other_kinds()
  call arrays_without_elements()
  call subscriptions()
  call needs()
  call requests()
  call texts_of_the_pool()
  call maestro_session_close(consumer)
  call maestro_session_close(producer)
  call maestro_session_close(producer)  ! a second time does nothing
  if (failures > 0) error stop "some checks failed"

contains

  include "check.inc"
  include "pool.inc"

  subroutine offer(param, step, cdo)
    character(*), intent(in) :: param
    integer, intent(in) :: step
    type(maestro_cdo), intent(out) :: cdo
    real(real64), pointer :: values(:, :)
    call maestro_cdo_declare(producer, cdo)
    call maestro_cdo_set(cdo, "param", param)
    call maestro_cdo_set(cdo, "step", step)
    call maestro_cdo_alloc(cdo, values, [3, 2])
    values = step
    call maestro_cdo_offer(cdo)
  end subroutine

  function live(selector) result(count)
    character(*), intent(in) :: selector
    integer(int64) :: count
    call maestro_count(consumer, selector, count)
  end function

  subroutine offers_and_demands()
    type(maestro_cdo) :: mine, theirs
    real(real64), pointer :: values(:, :)
    integer(int8), pointer :: bytes(:)
    integer :: status
    integer(int64) :: withdrawn
    call offer("t", 6, mine)
    call maestro_session_wake(producer)
    call maestro_cdo_wait(mine)
    call check(maestro_cdo_id(mine) /= 0, "an offered object has a number")
    call maestro_demand(consumer, "param = t and step = 6", theirs, timeout_s=5d0)
    call maestro_cdo_data(theirs, values)
    call check(all(shape(values) == [3, 2]) .and. all(abs(values - 6) < tiny(values)), "values of a demanded object")
    call maestro_cdo_data(theirs, bytes)
    call check(size(bytes) == 48, "its bytes")
    call maestro_cdo_withdraw(mine, timeout_s=0.05d0, status=status)
    call check_refused(status, MAESTRO_TIMEOUT, "consumer")
    call maestro_cdo_dispose(theirs)
    call maestro_cdo_dispose(mine)
    call maestro_cdo_dispose(mine)  ! a second time does nothing
    call offer("t", 12, mine)
    call maestro_cdo_dispose(mine)
    call check(live("step = 12") == 1, "an object outlives its handle")
    call maestro_withdraw(producer, "step = 12", count=withdrawn)
    call check(withdrawn == 1, "withdrawn by selector")
    call check(live("step = 12") == 0, "what was withdrawn does not count")
    call maestro_demand(consumer, "step = 12", theirs, 0.05d0, status)
    call check_refused(status, MAESTRO_TIMEOUT, "step")
    call maestro_demand(consumer, "step >< 12", theirs, status=status)
    call check_refused(status, MAESTRO_BAD_SELECTOR, "step")
    call maestro_selector_check("step = 12", "mars")
    call maestro_selector_check("stepp = 12", "mars", status)
    call check_refused(status, MAESTRO_UNKNOWN_ATTRIBUTE, "stepp|'step'")
  end subroutine

  subroutine refused_offers()
    type(maestro_cdo) :: first, second, like
    integer :: status
    integer, pointer :: numbers(:)
    call offer("u", 0, first)
    call offer("u", 0, second)
    call maestro_cdo_wait(second, status=status)
    call check_refused(status, MAESTRO_DUPLICATE, "u")
    call maestro_session_flush(producer)
    call maestro_cdo_set(first, "step", 1, status)
    call check_refused(status, MAESTRO_WRONG_STATE, "step")
    call maestro_cdo_declare_like(first, like)
    call maestro_cdo_set(like, "step", 1)
    call maestro_cdo_alloc(like, numbers, [-1], status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "alloc|-1")
    call check(.not. associated(numbers), "no array where it is refused")
    call maestro_cdo_alloc(like, numbers, [2], tier=99, status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "tier 99")
    call maestro_cdo_seal(like)
    call maestro_cdo_offer(like)
    call maestro_cdo_wait(like)
    call maestro_cdo_dispose(first)
    call maestro_cdo_dispose(second)
    call maestro_cdo_dispose(like)
  end subroutine

  subroutine arrays_of_other_kinds()
    type(maestro_cdo) :: mine, plain
    real(real32), pointer :: single(:, :)
    real(real64), pointer :: flat(:)
    integer(int8), pointer :: bytes(:)
    integer :: status
    call offer("v", 0, mine)
    call maestro_cdo_data(mine, single, status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "v|<f8|<f4")
    call maestro_cdo_data(mine, flat, status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "3,2|rank")
    call check(.not. associated(single) .and. .not. associated(flat), "no array of another kind or rank")
    call maestro_cdo_declare_like(mine, plain)
    call maestro_cdo_set(plain, "step", 1)
    call maestro_cdo_unset(plain, "maestro.dtype")
    call maestro_cdo_alloc(plain, bytes, [16])
    bytes = 1
    call maestro_cdo_data(plain, flat, status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "int8")
    call maestro_cdo_set(plain, "maestro.dtype", "<f8")
    call refuse_shape(plain, "3,2", "3,2")
    call refuse_shape(plain, "1,,1", "1,,1")
    call refuse_shape(plain, "2,x", "2,x")
    call refuse_shape(plain, "4294967296,4294967296", "16 bytes")
    call maestro_cdo_dispose(plain)
    call maestro_cdo_dispose(mine)
  end subroutine

  subroutine refuse_shape(cdo, shape, words)
    type(maestro_cdo), intent(in) :: cdo
    character(*), intent(in) :: shape, words
    real(real64), pointer :: values(:, :)
    integer :: status
    call maestro_cdo_set(cdo, "maestro.shape", shape)
    call maestro_cdo_data(cdo, values, status)
    call check_refused(status, MAESTRO_WRONG_TYPE, words)
  end subroutine

  subroutine arrays_without_elements()
    type(maestro_cdo) :: mine
    real(real64), pointer :: values(:, :)
    call maestro_cdo_declare(producer, mine)
    call maestro_cdo_set(mine, "param", "w")
    call maestro_cdo_set(mine, "step", 0)
    call maestro_cdo_alloc(mine, values, [0, 5])
    call check(associated(values) .and. all(shape(values) == [0, 5]), "an array without elements")
    call maestro_cdo_offer(mine)
    nullify (values)
    call maestro_cdo_data(mine, values)
    call check(all(shape(values) == [0, 5]), "the same, offered")
    call maestro_cdo_dispose(mine)
  end subroutine

  subroutine subscriptions()
    type(maestro_subscription) :: subscription
    type(maestro_event) :: event
    type(maestro_cdo) :: mine
    integer :: step, status, seen
    do step = 0, 2
      call offer("q", step, mine)
      call maestro_cdo_dispose(mine)
    end do
    call maestro_subscribe(consumer, "param = q", subscription, kinds=MAESTRO_EVENT_OFFERED + MAESTRO_EVENT_WITHDRAWN)
    do step = 0, 2
      call maestro_subscription_next(subscription, event)
      call maestro_cdo_get(event%cdo, "step", seen)
      call check(event%kind == MAESTRO_EVENT_OFFERED .and. seen == step .and. .not. event%gone, "events in order")
      call maestro_cdo_dispose(event%cdo)
    end do
    call maestro_withdraw(producer, "param = q and step = 1")
    call maestro_subscription_next(subscription, event)
    call check(event%kind == MAESTRO_EVENT_WITHDRAWN, "an event of a withdrawal")
    call maestro_cdo_dispose(event%cdo)
    call maestro_subscription_next(subscription, event, 0.01d0, status)
    call check_refused(status, MAESTRO_TIMEOUT, "")
    call maestro_subscription_dispose(subscription)
    call maestro_subscribe(consumer, "param = q", subscription, start=MAESTRO_START_QUERY)
    seen = 0
    do
      call maestro_subscription_next(subscription, event, status=status)
      if (status /= MAESTRO_OK) exit
      seen = seen + 1
      call maestro_cdo_dispose(event%cdo)
    end do
    call check(status == MAESTRO_END .and. seen == 2, "a query ends after the live objects")
    call maestro_subscription_next(subscription, event)  ! an end is no error
    call check(event%kind == 0, "no event after the end")
    call maestro_subscription_dispose(subscription)
    call maestro_subscribe(consumer, "param = q", subscription, group="readers", limit=1)
    call maestro_subscription_next(subscription, event)
    call check(.not. event%redelivered, "a member of a group gets an object")
    call maestro_cdo_reject(event%cdo)
    call maestro_subscription_next(subscription, event)
    call maestro_cdo_dispose(event%cdo)
    call maestro_subscription_dispose(subscription)
  end subroutine

  subroutine needs()
    type(maestro_need) :: need
    type(maestro_cdo) :: mine
    logical :: wanted
    call maestro_cdo_declare(producer, mine)
    call maestro_cdo_set(mine, "param", "r")
    call maestro_cdo_set(mine, "step", 0)
    call maestro_cdo_wanted(mine, wanted)
    call check(.not. wanted, "nobody wants it")
    call maestro_require(consumer, "param = r", need)
    call wait_until_wanted(mine)
    call maestro_retract(need)
    call maestro_cdo_dispose(mine)
  end subroutine

  subroutine wait_until_wanted(cdo)
    type(maestro_cdo), intent(in) :: cdo
    logical :: wanted
    integer :: tries
    type(maestro_subscription) :: never
    type(maestro_event) :: event
    integer :: status
    call maestro_subscribe(producer, "param = never", never)
    do tries = 1, 500
      call maestro_cdo_wanted(cdo, wanted)
      if (wanted) exit
      call maestro_subscription_next(never, event, 0.01d0, status)  ! sleeps
    end do
    call check(wanted, "a declared need is known")
    call maestro_subscription_dispose(never)
  end subroutine

  subroutine requests()
    type(maestro_request) :: request
    type(maestro_cdo) :: mine, theirs
    integer :: status
    integer(int64) :: count
    call maestro_demand_start(consumer, "param = s", request)
    call maestro_request_test(request, status)
    call check(status == MAESTRO_IN_PROGRESS, "a demand of what is not there")
    call offer("s", 0, mine)
    call maestro_request_wait(request)
    call maestro_request_cdo(request, theirs)
    call maestro_request_dispose(request)
    call maestro_cdo_withdraw_start(mine, request)
    call maestro_request_wait(request, 0.02d0, status)
    call check(status == MAESTRO_IN_PROGRESS, "a withdrawal waits for the reader")
    call maestro_cdo_dispose(theirs)
    call maestro_request_wait(request)
    call maestro_request_dispose(request)
    call maestro_cdo_dispose(mine)
    call offer("s", 1, mine)
    call maestro_withdraw_start(producer, "param = s", request)
    call maestro_request_wait(request)
    call maestro_request_count(request, count)
    call check(count == 1, "one was withdrawn")
    call maestro_request_dispose(request)
    call maestro_cdo_dispose(mine)
  end subroutine

  subroutine texts_of_the_pool()
    character(:), allocatable :: json
    call maestro_session_stats(producer, json)
    call check(index(json, '"producer"') > 0, "statistics name the component")
    call maestro_session_schema(producer, json)
    call check(index(json, '"levelist"') > 0, "the schema names its attributes")
    call check(maestro_status_name(MAESTRO_TIMEOUT) == "MAESTRO_TIMEOUT", "the name of a status")
    call check(maestro_status_text(MAESTRO_TIMEOUT) == "not done in time", "the text of a status")
    call check(index(maestro_version(), ".") > 0, "the version")
  end subroutine
end program
