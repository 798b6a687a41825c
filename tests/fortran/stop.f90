! Makes a mistake without asking for its status: an attribute that is not there, or an array of another kind.
program stop
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use maestro
  implicit none
  type(maestro_session) :: session
  type(maestro_cdo) :: cdo
  real(real32), pointer :: single(:)
  real(real64), pointer :: double(:)
  character(16) :: mistake
  call get_command_argument(1, mistake)
  call maestro_session_open(session, schema="mars")
  call maestro_cdo_declare(session, cdo)
  if (mistake == "attribute") call maestro_cdo_set(cdo, "levlist", 500)
  call maestro_cdo_alloc(cdo, double, [2])
  call maestro_cdo_data(cdo, single)
  print "(a)", "still there"
end program
