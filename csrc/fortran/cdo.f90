! Core data objects: what a producer does with them, and how long they are held.  Their attributes and arrays stand in files of their
! own.
module maestro_objects
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use maestro_c
  use maestro_constants
  use maestro_errors
  use maestro_sessions, only: maestro_session
  implicit none
  private
  public :: maestro_cdo, maestro_cdo_declare, maestro_cdo_declare_like, maestro_cdo_seal, maestro_cdo_offer, maestro_cdo_wait
  public :: maestro_cdo_withdraw, maestro_cdo_dispose, maestro_cdo_reject, maestro_cdo_part, maestro_cdo_wanted, maestro_cdo_id
  public :: maestro_cdo_describe

  ! The handle is C's, for programs that also call C; null when disposed.  Copies of this variable are the same object, which is
  ! disposed once.
  type :: maestro_cdo
    type(c_ptr) :: handle = c_null_ptr
  end type

contains

  ! Declares an object.
  subroutine maestro_cdo_declare(session, cdo, name, status)
    type(maestro_session), intent(in) :: session
    type(maestro_cdo), intent(out) :: cdo
    character(*), intent(in), optional :: name
    integer, intent(out), optional :: status
    character(:, c_char), allocatable :: c_name
    if (present(name)) c_name = c_text(name)
    call finish(c_cdo_declare(session%handle, c_name, cdo%handle), status)
  end subroutine

  ! Declares an object with the attributes of another one, without its data.
  subroutine maestro_cdo_declare_like(like, cdo, status)
    type(maestro_cdo), intent(in) :: like
    type(maestro_cdo), intent(out) :: cdo
    integer, intent(out), optional :: status
    call finish(c_cdo_declare_like(like%handle, cdo%handle), status)
  end subroutine

  ! Ends the setting of attributes and checks the required ones; an offer does it by itself.
  subroutine maestro_cdo_seal(cdo, status)
    type(maestro_cdo), intent(in) :: cdo
    integer, intent(out), optional :: status
    call finish(c_cdo_seal(cdo%handle), status)
  end subroutine

  ! Gives the object to the pool; its array must not be written from here on.  What only the manager can refuse comes with wait or
  ! flush.
  subroutine maestro_cdo_offer(cdo, status)
    type(maestro_cdo), intent(in) :: cdo
    integer, intent(out), optional :: status
    call finish(c_cdo_offer(cdo%handle), status)
  end subroutine

  ! Waits until the manager has taken or refused this object's offer.
  subroutine maestro_cdo_wait(cdo, timeout_s, status)
    type(maestro_cdo), intent(in) :: cdo
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_cdo_wait(cdo%handle, seconds(timeout_s)), status)
  end subroutine

  ! Takes an own object back and waits until nobody reads it; `when` is MAESTRO_WHEN_RELEASED (default) or MAESTRO_WHEN_CONSUMED.
  subroutine maestro_cdo_withdraw(cdo, when, timeout_s, status)
    type(maestro_cdo), intent(in) :: cdo
    integer, intent(in), optional :: when
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    integer(c_int) :: chosen
    chosen = MAESTRO_WHEN_RELEASED
    if (present(when)) chosen = int(when, c_int)
    call finish(c_cdo_withdraw(cdo%handle, chosen, seconds(timeout_s)), status)
  end subroutine

  ! Gives up the handle: a consumer's lease ends, an object not offered is freed, an offered one stays in the pool.  Its array is not
  ! used again.
  subroutine maestro_cdo_dispose(cdo, status)
    type(maestro_cdo), intent(inout) :: cdo
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = cdo%handle
    cdo%handle = c_null_ptr
    call finish(c_cdo_dispose(handle), status)
  end subroutine

  ! The same without acknowledging: another member of the consumer group gets the object.
  subroutine maestro_cdo_reject(cdo, status)
    type(maestro_cdo), intent(inout) :: cdo
    integer, intent(out), optional :: status
    type(c_ptr) :: handle
    handle = cdo%handle
    cdo%handle = c_null_ptr
    call finish(c_cdo_reject(handle), status)
  end subroutine

  ! A part of an object that several offers made together, counted from 0; the caller disposes it.
  subroutine maestro_cdo_part(cdo, number, part, timeout_s, status)
    type(maestro_cdo), intent(in) :: cdo
    integer, intent(in) :: number
    type(maestro_cdo), intent(out) :: part
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    call finish(c_cdo_part(cdo%handle, int(number, c_int32_t), seconds(timeout_s), part%handle), status)
  end subroutine

  ! Whether anybody needs a declared object as its attributes are now.
  subroutine maestro_cdo_wanted(cdo, wanted, timeout_s, status)
    type(maestro_cdo), intent(in) :: cdo
    logical, intent(inout) :: wanted
    real(real64), intent(in), optional :: timeout_s
    integer, intent(out), optional :: status
    logical(c_bool) :: answer
    integer(c_int) :: code
    answer = .false.
    code = c_cdo_wanted(cdo%handle, seconds(timeout_s), answer)
    if (code == 0) wanted = answer
    call finish(code, status)
  end subroutine

  ! The object's number in its pool; 0 before the offer.
  function maestro_cdo_id(cdo) result(id)
    type(maestro_cdo), intent(in) :: cdo
    integer(int64) :: id
    id = c_cdo_id(cdo%handle)
  end function

  ! What the object is, "t@500 step=6 ...", for messages.
  function maestro_cdo_describe(cdo) result(text)
    type(maestro_cdo), intent(in) :: cdo
    character(:), allocatable :: text
    character(kind=c_char), target :: buffer(512)
    integer(c_size_t) :: length
    length = c_cdo_describe(cdo%handle, c_loc(buffer), size(buffer, kind=c_size_t))
    text = text_at(c_loc(buffer))
  end function

end module
