! Names of programs.
module maestro_names
  use, intrinsic :: iso_c_binding
  use maestro_c
  use maestro_errors
  implicit none
  private
  public :: maestro_comm_split

contains

  ! Splits a communicator by names that the ranks give, which may be several: comms has one for each, in their order, that the
  ! caller frees.  Collective.
  subroutine maestro_comm_split(comm, names, comms, status)
    integer, intent(in) :: comm
    character(*), intent(in) :: names(:)
    integer, intent(inout) :: comms(size(names))
    integer, intent(out), optional :: status
    character(len(names) + 1, c_char), target :: texts(size(names))
    type(c_ptr) :: pointers(size(names))
    integer(c_int) :: found(size(names))
    integer(c_int) :: code
    integer :: i
    do i = 1, size(names)
      texts(i) = c_text(names(i))
      pointers(i) = c_loc(texts(i))
    end do
    code = c_comm_split(comm, size(names, kind=c_size_t), pointers, found)
    if (code == 0) comms = found
    call finish(code, status)
  end subroutine

end module
