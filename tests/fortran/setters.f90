! Offers an object with an attribute of every type, as setters.c does and tests/test_fortran.py; then reads those of the object "python" and compares.
program setters
  use, intrinsic :: iso_fortran_env, only: int8, int32, int64, real32, real64
  use maestro
  implicit none
  type(maestro_session) :: session
  type(maestro_cdo) :: cdo
  character(256) :: schema
  real(real64), pointer :: values(:)

  call get_command_argument(1, schema)
  call maestro_session_open(session, component="fortran", schema=schema)
  call maestro_cdo_declare(session, cdo, name="fortran")
  call maestro_cdo_set(cdo, "flag", .true.)
  call maestro_cdo_set(cdo, "number", -7)
  call maestro_cdo_set(cdo, "weight", 0.25)
  call maestro_cdo_set(cdo, "title", "Grüße  ")
  call maestro_cdo_set_timestamp(cdo, "moment", 1767225600000000001_int64)
  call maestro_cdo_set(cdo, "day", "2026-01-01T00:00:00Z")
  call maestro_cdo_set_blob(cdo, "key", [1_int8, 0_int8, -1_int8])
  call maestro_cdo_set(cdo, "flags", [.true., .false.])
  call maestro_cdo_set(cdo, "levels", [1_int64, -2_int64, 2_int64**40])
  call maestro_cdo_set(cdo, "weights", [0.5_real32, -1.0_real32])
  call maestro_cdo_set(cdo, "species", [character(9) :: "hydrogen", "", "helium"])
  call maestro_cdo_set_timestamp(cdo, "moments", [0_int64, 1_int64])
  call maestro_cdo_set(cdo, "nothing", [integer ::])
  call maestro_cdo_alloc(cdo, values, [3])
  values = [1, 2, 3]
  call maestro_cdo_offer(cdo)
  call maestro_cdo_dispose(cdo)
  call compare()
  call maestro_session_close(session)

contains

  subroutine expect(holds, what)
    logical, intent(in) :: holds
    character(*), intent(in) :: what
    if (.not. holds) error stop what
  end subroutine

  subroutine compare()
    logical :: flag
    integer :: number
    real(real64) :: weight
    integer(int64) :: moment
    character(:), allocatable :: title
    character(:), allocatable, save :: species(:)  ! saved, or gfortran 12 warns of its length, without reason
    integer(int8), allocatable :: key(:)
    logical, allocatable :: flags(:)
    integer, allocatable :: nothing(:), narrow(:)
    integer(int64), allocatable :: levels(:), moments(:)
    real(real32), allocatable :: weights(:)
    integer :: status
    call maestro_demand(session, "maestro.name = python", cdo)
    call maestro_cdo_get(cdo, "flag", flag)
    call expect(flag, "flag")
    call maestro_cdo_get(cdo, "number", number)
    call expect(number == -7, "number")
    call maestro_cdo_get(cdo, "weight", weight)
    call expect(abs(weight - 0.25) < tiny(weight), "weight")
    call maestro_cdo_get(cdo, "title", title)
    call expect(title == "Grüße", "title")
    call maestro_cdo_get_timestamp(cdo, "moment", moment)
    call expect(moment == 1767225600000000001_int64, "moment")
    call maestro_cdo_get_blob(cdo, "key", key)
    call expect(all(key == [1, 0, -1]), "key")
    call maestro_cdo_get(cdo, "flags", flags)
    call expect(all(flags .eqv. [.true., .false.]), "flags")
    call maestro_cdo_get(cdo, "levels", levels)
    call expect(all(levels == [1_int64, -2_int64, 2_int64**40]), "levels")
    call maestro_cdo_get(cdo, "levels", narrow, status)
    call expect(status == MAESTRO_BAD_VALUE .and. .not. allocated(narrow), "levels of 32 bits")
    call maestro_cdo_get(cdo, "weights", weights)
    call expect(all(abs(weights - [0.5, -1.0]) < tiny(0.0)), "weights")
    call maestro_cdo_get(cdo, "species", species)
    call expect(len(species) == 8 .and. all(species == [character(8) :: "hydrogen", "", "helium"]), "species")
    call maestro_cdo_get_timestamp(cdo, "moments", moments)
    call expect(all(moments == [0, 1]), "moments")
    call maestro_cdo_get(cdo, "nothing", nothing)
    call expect(size(nothing) == 0, "nothing")
    call maestro_cdo_dispose(cdo)
  end subroutine
end program
