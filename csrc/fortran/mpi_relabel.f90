! Which part of a target a rank should take.
module maestro_relabelling
  use, intrinsic :: iso_c_binding
  use maestro_c
  use maestro_layouts, only: maestro_layout
  use maestro_plans, only: c_part, finish_parts
  implicit none
  private
  public :: maestro_relabel

contains

  ! Which part of the target's layout this rank should take, as to_part, so that as little as possible changes ranks.  Collective.
  subroutine maestro_relabel(from, to, comm, to_part, from_part, status)
    type(maestro_layout), intent(in) :: from, to
    integer, intent(in) :: comm
    integer, intent(inout) :: to_part
    integer, intent(in), optional :: from_part
    integer, intent(out), optional :: status
    type(maestro_plan_options_t) :: options
    integer(c_int64_t) :: part
    integer(c_int) :: code
    call c_plan_options_init(options)
    if (present(from_part)) options%from_part = c_part(from_part)
    code = c_relabel(from%handle, to%handle, comm, options, part)
    if (code == 0) to_part = int(part) + 1
    call finish_parts(code, "relabel", options, status)
  end subroutine

end module
