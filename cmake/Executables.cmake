# Programs: csrc/tools/<name>.c is maestro-<name>; examples/*.c use the public libraries as a user would and become example_<name>; benchmarks/*.c see the
# internal names and become maestro-bench-<name>.  Those on MPI are in folders mpi/, and are built where there is an MPI; what is installed of them has its
# family in the file's name, for both may lie side by side.
set(MAESTRO_PROGRAMS)

function(add_program target source folder)
  add_executable(${target} ${source})
  target_link_libraries(${target} PRIVATE ${ARGN})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
endfunction()

# One program for each source, named PREFIX<stem>; their targets come back in OUT.
function(add_programs out prefix pattern folder)
  file(GLOB sources CONFIGURE_DEPENDS ${pattern})
  set(targets)
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    add_program(${prefix}${name} ${source} ${folder} ${ARGN})
    list(APPEND targets ${prefix}${name})
  endforeach()
  set(${out} ${targets} PARENT_SCOPE)
endfunction()

# A program of one MPI family, which finds its library where it was found when it was built.
function(install_for_family target)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${target}-${MAESTRO_MPI_FAMILY} INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS ${target} RUNTIME DESTINATION _bin COMPONENT mpi EXCLUDE_FROM_ALL)
endfunction()

add_program(maestro-pool csrc/tools/pool.c bin maestro_core)
list(APPEND MAESTRO_PROGRAMS maestro-pool)
set(mpi_benchmarks)
if(NOT MAESTRO_SANITIZE) # no test runs them with a sanitizer
  add_programs(MAESTRO_BENCHMARKS maestro-bench- benchmarks/*.c bin maestro_core)
  add_programs(examples example_ examples/*.c examples maestro maestro_dialect)
  if(MAESTRO_MPI_FAMILY)
    add_programs(mpi_benchmarks maestro-bench- benchmarks/mpi/*.c bin maestro_mpi_core)
    add_programs(mpi_examples example_ examples/mpi/*.c examples maestro_mpi maestro_dialect MPI::MPI_C)
  endif()
endif()
if(MAESTRO_MPI_FAMILY)
  add_program(maestro-link csrc/tools/link.c bin maestro_mpi_core)
  foreach(target IN ITEMS maestro-link LISTS mpi_benchmarks)
    install_for_family(${target})
  endforeach()
  list(APPEND MAESTRO_PROGRAMS maestro-link)
  list(APPEND MAESTRO_BENCHMARKS ${mpi_benchmarks})
endif()
