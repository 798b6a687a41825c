! Attributes: every kind of value is read back as it was set; what is wrong is refused with a message that names the key and the nearest one.
program attributes_test
  use, intrinsic :: iso_fortran_env, only: error_unit, int8, int32, int64, real32, real64
  use maestro
  implicit none
  integer :: failures = 0
  type(maestro_session) :: session
  type(maestro_cdo) :: cdo

  call maestro_session_open(session, pool=own_pool(), component="fortran", schema="mars")
  call maestro_cdo_declare(session, cdo)
  call numbers()
  call texts()
  call refusals()
  call walk()
  call maestro_cdo_dispose(cdo)
  call maestro_session_close(session)
  if (failures > 0) error stop "some checks failed"

contains

  include "check.inc"
  include "pool.inc"

  subroutine numbers()
    integer(int32) :: narrow
    integer(int64) :: wide
    real(real32) :: single
    real(real64) :: double
    logical :: flag
    integer :: status
    call maestro_cdo_set(cdo, "step", 6_int32)
    call maestro_cdo_get(cdo, "step", narrow)
    call maestro_cdo_get(cdo, "step  ", wide)
    call check(narrow == 6 .and. wide == 6, "step = 6")
    call maestro_cdo_set(cdo, "maestro.checksum", 2_int64**40)
    call maestro_cdo_get(cdo, "maestro.checksum", wide)
    call check(wide == 2_int64**40, "an integer of more than 32 bits")
    call maestro_cdo_get(cdo, "maestro.checksum", narrow, status)
    call check_refused(status, MAESTRO_BAD_VALUE, "maestro.checksum|1099511627776|integer(int64)")
    call check(narrow == 6, "a value that could not be had is as it was")
    call maestro_cdo_unset(cdo, "maestro.checksum")
    call maestro_cdo_set(cdo, "levelist", 0.5_real32)
    call maestro_cdo_get(cdo, "levelist", single)
    call check(abs(single - 0.5_real32) < tiny(single), "levelist = 0.5, single")
    call maestro_cdo_set(cdo, "levelist", 0.1_real64)
    call maestro_cdo_get(cdo, "levelist", double)
    call check(abs(double - 0.1_real64) < tiny(double), "levelist = 0.1")
    call maestro_cdo_set(cdo, "levelist", 500)  ! an integer is taken for a real attribute
    call maestro_cdo_get(cdo, "levelist", double)
    call check(abs(double - 500) < tiny(double), "levelist = 500")
    call maestro_cdo_set(cdo, "maestro.persist", .true.)
    call maestro_cdo_get(cdo, "maestro.persist", flag)
    call check(flag, "a logical")
    call maestro_cdo_unset(cdo, "maestro.persist")
    call check(.not. maestro_cdo_has(cdo, "maestro.persist"), "an attribute that was removed")
    call maestro_cdo_set_timestamp(cdo, "maestro.time", 1234567890123456789_int64)
    call maestro_cdo_get_timestamp(cdo, "maestro.time", wide)
    call check(wide == 1234567890123456789_int64, "a timestamp")
    call maestro_cdo_unset(cdo, "maestro.time")
  end subroutine

  subroutine texts()
    character(16) :: padded = "t"
    character(:), allocatable :: text
    integer :: status
    call maestro_cdo_set(cdo, "param", padded)
    call maestro_cdo_get(cdo, "param", text)
    call check(text == "t" .and. len(text) == 1, "blanks at the end do not count")
    call check(index(maestro_cdo_describe(cdo), "step=6") > 0, "describe: " // maestro_cdo_describe(cdo))
    text = "as before"
    call maestro_cdo_get(cdo, "stream", text, status)
    call check(status == MAESTRO_NOT_FOUND .and. text == "as before", "an absent attribute leaves the default")
  end subroutine

  subroutine refusals()
    type(maestro_cdo) :: other
    integer :: status
    call maestro_cdo_set(cdo, "levlist", 500, status)
    call check_refused(status, MAESTRO_UNKNOWN_ATTRIBUTE, "levlist|did you mean 'levelist'")
    call maestro_cdo_set(cdo, "levelist", .true., status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "levelist")
    call maestro_cdo_set(cdo, "step", [1, 2], status)
    call check_refused(status, MAESTRO_WRONG_TYPE, "step")
    call maestro_cdo_set(cdo, "stream", "opera", status)
    call check_refused(status, MAESTRO_BAD_VALUE, "stream|oper")
    call maestro_cdo_declare(session, other)
    call maestro_cdo_set(other, "step", 6)
    call maestro_cdo_offer(other, status)
    call check_refused(status, MAESTRO_MISSING_ATTRIBUTE, "param")
    call maestro_cdo_dispose(other)
    call maestro_cdo_set(other, "step", 6, status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "set")
  end subroutine

  subroutine walk()
    character(:), allocatable :: key, found
    integer :: cursor, type, status
    found = ""
    cursor = 0
    do
      call maestro_cdo_next_attribute(cdo, cursor, key, type, status)
      if (status /= MAESTRO_OK) exit
      found = found // key // " "
      if (key == "step") call check(type == MAESTRO_TYPE_I64, "the type of step")
    end do
    call check(status == MAESTRO_END, "the walk ends")
    call check(index(found, "param") > 0 .and. index(found, "step") > 0 .and. index(found, "levelist") > 0, "keys: " // found)
  end subroutine
end program
