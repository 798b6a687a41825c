! How every procedure ends, and how texts go to C and come back.
!
! A procedure has an optional argument `status`, its last.  With it errors and states are returned there; without it an error ends
! the program: its detail (operation, object, cause, remedy) is printed by error stop.  States, which are positive, end nothing.
module maestro_errors
  use, intrinsic :: iso_c_binding
  use maestro_constants
  use maestro_c
  implicit none
  private
  public :: maestro_last_error, maestro_status_name, maestro_status_text, maestro_version
  public :: finish, refuse, c_text, text_at, take_text, after, length_at, seconds

  interface
    subroutine keep_detail(text) bind(c, name="mst_fortran_keep_detail")
      import
      character(kind=c_char), intent(in) :: text(*)
    end subroutine
    function detail() bind(c, name="mst_fortran_detail") result(address)
      import
      type(c_ptr) :: address
    end function
    pure function length_at(address) bind(c, name="strlen") result(length)
      import
      type(c_ptr), intent(in), value :: address
      integer(c_size_t) :: length
    end function
  end interface

contains

  ! The detail of the calling thread's last error: "operation object: cause; remedy"; empty if there was none.
  function maestro_last_error() result(text)
    character(:), allocatable :: text
    text = text_at(detail())
  end function

  ! The name of a status, such as "MAESTRO_TIMEOUT".
  function maestro_status_name(status) result(text)
    integer, intent(in) :: status
    character(:), allocatable :: text
    text = text_at(c_status_name(int(status, c_int)))
  end function

  ! The line that explains a status.
  function maestro_status_text(status) result(text)
    integer, intent(in) :: status
    character(:), allocatable :: text
    text = text_at(c_status_text(int(status, c_int)))
  end function

  ! The version of the library in use, such as "0.1.0".
  function maestro_version() result(text)
    character(:), allocatable :: text
    text = text_at(c_version())
  end function

  ! Ends a procedure with what the library said.
  subroutine finish(code, status)
    integer(c_int), intent(in) :: code
    integer, intent(out), optional :: status
    if (code < 0) call keep_detail(c_text(text_at(c_last_error())))
    call give_status(int(code), status)
  end subroutine

  ! Ends a procedure with an error that the library did not see.
  subroutine refuse(code, text, status)
    integer, intent(in) :: code
    character(*), intent(in) :: text
    integer, intent(out), optional :: status
    call keep_detail(c_text(text))
    call give_status(code, status)
  end subroutine

  subroutine give_status(code, status)
    integer, intent(in) :: code
    integer, intent(out), optional :: status
    character(:), allocatable :: text
    if (present(status)) then
      status = code
    else if (code < 0) then
      text = maestro_status_name(code) // ": " // maestro_last_error()
      error stop text
    end if
  end subroutine

  ! A text as C wants it: blanks at its end, which Fortran fills up with, do not count.
  pure function c_text(text) result(copy)
    character(*), intent(in) :: text
    character(:, c_char), allocatable :: copy
    copy = trim(text) // c_null_char
  end function

  function text_at(address) result(text)
    type(c_ptr), intent(in), value :: address
    character(:), allocatable :: text
    character(kind=c_char), pointer :: bytes(:)
    integer(c_size_t) :: i
    if (.not. c_associated(address)) then
      text = ""
      return
    end if
    call c_f_pointer(address, bytes, [length_at(address)])
    allocate (character(size(bytes)) :: text)
    do i = 1, size(bytes)
      text(i:i) = bytes(i)
    end do
  end function

  ! A text that is the caller's to free.
  subroutine take_text(address, text)
    type(c_ptr), intent(in) :: address
    character(:), allocatable, intent(inout) :: text
    text = text_at(address)
    call c_free(address)
  end subroutine

  function after(address, nbytes) result(next)
    type(c_ptr), intent(in) :: address
    integer(c_size_t), intent(in) :: nbytes
    type(c_ptr) :: next
    next = transfer(transfer(address, 0_c_intptr_t) + int(nbytes, c_intptr_t), next)
  end function

  ! A timeout, or what stands for the session's own.
  pure function seconds(timeout_s) result(given)
    real(c_double), intent(in), optional :: timeout_s
    real(c_double) :: given
    given = -1
    if (present(timeout_s)) given = timeout_s
  end function

end module
