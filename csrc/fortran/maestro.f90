! maestro - the Fortran interface of Maestro.  It says in Fortran what maestro.h says in C, with the same names and order of
! arguments; docs/fortran.md shows how.  What is an option in C is an optional argument here, and every subroutine that can fail has
! `status` as its last one: without it, an error ends the program.
module maestro
  use maestro_constants
  use maestro_errors, only: maestro_last_error, maestro_status_name, maestro_status_text, maestro_version
  use maestro_sessions
  use maestro_objects
  use maestro_attributes
  use maestro_arrays
  use maestro_asking
  use maestro_layouts, only: maestro_layout, maestro_local
  use maestro_subscriptions
  implicit none
  public
end module
