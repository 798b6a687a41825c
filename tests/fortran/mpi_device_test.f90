! Arrays on a device, by pointers to their addresses there; tests/helpers/fakecuda.c stands for the driver.
program mpi_device_test
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, int64, real64
  use maestro_mpi
  implicit none
  include "world.inc"

  interface
    function driver_begin(flags) bind(c, name="cuInit") result(code)
      import
      integer(c_int), value :: flags
      integer(c_int) :: code
    end function
    function put_kernel(stream, device, host, nbytes) bind(c, name="fakecuda_later") result(code)
      import
      type(c_ptr), value :: stream, device, host
      integer(c_size_t), value :: nbytes
      integer(c_int) :: code
    end function
  end interface

  integer :: failures = 0, comm, rank, nranks
  type(c_ptr) :: stream

  call world_begin(comm, rank, nranks)
  stream = transfer(7_int64, stream)
  call check(driver_begin(0) == 0, "the driver")
  call redistribution()
  call halo_exchange()
  call world_end()
  if (failures > 0) error stop "some checks failed"

contains

  include "check.inc"

  ! Where the device has what the host has here.
  function far(near)
    type(c_ptr), intent(in) :: near
    type(c_ptr) :: far
    far = transfer(ibset(transfer(near, 0_int64), 63), far)
  end function

  ! The source is written by work on the stream that has not begun yet.
  subroutine redistribution()
    type(maestro_layout) :: from, to
    type(maestro_plan) :: plan
    real(real64), allocatable, target :: near(:), later(:), taken(:)
    real(real64), pointer :: device_from(:), device_to(:)
    integer :: i, status
    call from%blocks([4 * nranks], [nranks])
    call to%block_cyclic([4 * nranks], [1], [nranks])
    allocate (near(4), taken(4), source=0d0)
    allocate (later(4), source=[(real(4 * rank + i, real64), i=1, 4)])
    call c_f_pointer(far(c_loc(near)), device_from, [4])
    call c_f_pointer(far(c_loc(taken)), device_to, [4])
    call plan%create(from, to, MAESTRO_F64, comm)
    call check(put_kernel(stream, far(c_loc(near)), c_loc(later), 32_c_size_t) == 0, "a kernel")
    call plan%start(device_from, device_to, stream=stream)
    call plan%wait()
    call check(all(abs(taken - [(rank + 1 + nranks * (i - 1), i=1, 4)]) < 1d-9), "elements on a device")
    call plan%run(device_from, device_to, stream=transfer(777_int64, stream), status=status)
    call check_refused(status, MAESTRO_INVALID_ARGUMENT, "copy field 0 of the source from its device|cuMemcpyDtoHAsync")
    taken = 0
    call plan%run(near, device_to)
    call check(all(abs(taken - [(rank + 1 + nranks * (i - 1), i=1, 4)]) < 1d-9), "from the host to a device, without a stream")
    call plan%destroy()
    call from%destroy()
    call to%destroy()
  end subroutine

  subroutine halo_exchange()
    type(maestro_layout) :: ring
    type(maestro_halo) :: halo
    integer(int64), allocatable, target :: near(:)
    integer(int64), pointer :: device(:)
    integer :: i
    call ring%blocks([4 * nranks], [nranks], low=[1], high=[1])
    allocate (near(6), source=[0_int64, (4_int64 * rank + i, i=1, 4), 0_int64])
    call c_f_pointer(far(c_loc(near)), device, [6])
    call halo%create(ring, MAESTRO_I64, comm, periodic=[.true.])
    call halo%start(device, stream=stream)
    call halo%wait()
    call check(all(near == [(1 + modulo(4 * rank + i - 1, 4 * nranks), i=0, 5)]), "a halo on a device")
    near(1) = 0
    call halo%run(device, stream=stream)
    call check(near(1) == 1 + modulo(4 * rank - 1, 4 * nranks), "the same once more")
    call halo%destroy()
    call ring%destroy()
  end subroutine
end program
