! Exchanges objects with any other program of the pool, for instance with exchange.py: offers its own, waits for the other's.
!     gfortran exchange.f90 -o exchange $(pkg-config --cflags --libs maestro-fortran)
!     ./exchange ping pong &  python exchange.py pong ping
program exchange
  use, intrinsic :: iso_fortran_env, only: real64
  use maestro
  implicit none
  type(maestro_session) :: session
  type(maestro_cdo) :: cdo
  real(real64), pointer :: values(:)
  character(16) :: mine, theirs
  character(64) :: selector
  integer :: step, i

  mine = "ping"
  theirs = "pong"
  if (command_argument_count() > 1) then
    call get_command_argument(1, mine)
    call get_command_argument(2, theirs)
  end if
  call maestro_session_open(session, component=mine, schema="mars")
  do step = 0, 9
    call maestro_cdo_declare(session, cdo)
    call maestro_cdo_set(cdo, "param", mine)
    call maestro_cdo_set(cdo, "step", step)
    call maestro_cdo_alloc(cdo, values, [100])
    values = [(step + i, i=0, 99)]
    call maestro_cdo_offer(cdo)
    call maestro_cdo_dispose(cdo)
    write (selector, "(3a,i0)") "param = ", trim(theirs), " and step = ", step
    call maestro_demand(session, selector, cdo, timeout_s=30d0)
    call maestro_cdo_data(cdo, values)
    print "(2a,i0,a,i0,a,i0)", trim(theirs), " step ", step, ": ", size(values) * storage_size(values) / 8, " bytes, first ", &
        nint(values(1))
    call maestro_cdo_dispose(cdo)
  end do
  call maestro_session_close(session)
end program
