! maestro_mpi - distributed arrays in Fortran: what maestro.h says of layouts, redistribution, halos and names of programs, with the
! functions of libmaestro_mpi.  docs/arrays.md shows how.  A communicator is MPI's integer handle: comm of `use mpi`, comm%MPI_VAL
! of `use mpi_f08`.
module maestro_mpi
  use maestro_c, only: maestro_field_t
  use maestro_constants
  use maestro_errors, only: maestro_last_error, maestro_status_name, maestro_status_text, maestro_version
  use maestro_layouts, only: maestro_layout, maestro_local
  use maestro_memory
  use maestro_names
  use maestro_plans, only: maestro_field, maestro_halo, maestro_plan
  use maestro_relabelling
  implicit none
  public
end module
