# The Fortran modules (csrc/fortran), where a Fortran compiler and a Python that writes their repeated parts are found; nothing else needs them.
# Module files are of one compiler, so the libraries are static and know that compiler alone.
#   maestro_fortran      module maestro, on top of libmaestro
#   maestro_mpi_fortran  module maestro_mpi (csrc/fortran/mpi*), on top of libmaestro_mpi
# tests/fortran/<name>_test.f90 is a test by itself; mpi_<name>_test.f90 is one for each number of ranks.  The other programs there are run by
# tests/test_fortran.py, beside C and Python.
if(NOT MAESTRO_FORTRAN OR MAESTRO_SANITIZE)
  return()
endif()
if(NOT CMAKE_Fortran_COMPILER)
  unset(CMAKE_Fortran_COMPILER CACHE) # one may have been installed since the last time
endif()
include(CheckLanguage)
check_language(Fortran)
find_package(Python 3.11 COMPONENTS Interpreter QUIET)
if(NOT CMAKE_Fortran_COMPILER OR NOT Python_FOUND)
  message(STATUS "No Fortran compiler, or no Python: the Fortran module is not built")
  return()
endif()
enable_language(Fortran)
if(CMAKE_Fortran_COMPILER_ID STREQUAL "GNU")
  set(CMAKE_Fortran_FLAGS_RELEASE "-O2 -g")
  set(CMAKE_Fortran_FLAGS_DEBUG "-Og -g3")
  set(fortran_options -std=f2018 -Wall -Wextra $<$<CONFIG:Debug>:-fcheck=all>)
  if(MAESTRO_WERROR)
    list(APPEND fortran_options -Werror)
  endif()
endif()

set(written ${PROJECT_BINARY_DIR}/generated/fortran)
file(GLOB templates CONFIGURE_DEPENDS csrc/fortran/*.f90.in tests/fortran/*.f90.in)
file(GLOB module_sources CONFIGURE_DEPENDS csrc/fortran/*.f90 csrc/fortran/*.c)
file(GLOB programs CONFIGURE_DEPENDS tests/fortran/*.f90)
set(written_sources ${written}/maestro_c.f90)
foreach(template IN LISTS templates)
  cmake_path(GET template STEM LAST_ONLY name)
  list(APPEND written_sources ${written}/${name})
  if(template MATCHES "/tests/")
    list(APPEND programs ${written}/${name})
  else()
    list(APPEND module_sources ${written}/${name})
  endif()
endforeach()
add_custom_command(OUTPUT ${written_sources} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  DEPENDS csrc/include/maestro.h ${templates} scripts/make_fortran.py scripts/check_bindings.py scripts/unwrapped-fortran.txt
  COMMAND ${CMAKE_COMMAND} -E env CC=${CMAKE_C_COMPILER} ${Python_EXECUTABLE} scripts/make_fortran.py ${written} ${templates}
  COMMENT "Fortran's view of maestro.h" VERBATIM)

file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
function(add_module name below)
  add_library(${name} STATIC ${ARGN})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:Fortran>:${fortran_options}>
    $<$<COMPILE_LANGUAGE:C>:$<TARGET_PROPERTY:maestro_dialect,INTERFACE_COMPILE_OPTIONS>>)
  target_link_libraries(${name} PUBLIC ${below})
  target_include_directories(${name} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/fortran> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/maestro>)
  set_target_properties(${name} PROPERTIES Fortran_MODULE_DIRECTORY ${PROJECT_BINARY_DIR}/fortran
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fortran INTERPROCEDURAL_OPTIMIZATION_RELEASE OFF)
  install(TARGETS ${name} EXPORT maestro_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  string(REPLACE "_" "-" pc ${name})
  string(REPLACE ";" ", " pc_below "${below}")
  string(REPLACE "_" "-" pc_below "${pc_below}")
  set(pc_library ${name})
  configure_file(cmake/maestro-fortran.pc.in ${pc}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${pc}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

set(mpi_sources ${module_sources})
list(FILTER mpi_sources INCLUDE REGEX "/mpi[^/]*$")
list(REMOVE_ITEM module_sources ${mpi_sources})
add_module(maestro_fortran maestro ${written}/maestro_c.f90 ${module_sources})
if(MAESTRO_MPI_FAMILY)
  # With a copy of what records errors, as libmaestro_mpi has: the libraries keep theirs to themselves.
  add_module(maestro_mpi_fortran "maestro_fortran;maestro_mpi" ${mpi_sources} csrc/base/fail.c)
  target_include_directories(maestro_mpi_fortran PRIVATE csrc)
  target_link_libraries(maestro_mpi_fortran PRIVATE $<BUILD_INTERFACE:MPI::MPI_C>)
endif()

install(DIRECTORY ${PROJECT_BINARY_DIR}/fortran/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/maestro FILES_MATCHING PATTERN "*.mod")

# There need be no Fortran in an MPI: where a program begins and ends, examples/mpi/fortran/world.c calls it.
set(world ${PROJECT_SOURCE_DIR}/examples/mpi/fortran/world.c)
function(add_fortran_program target source folder)
  add_executable(${target} ${source})
  target_include_directories(${target} PRIVATE tests/fortran) # written ones include what stands there
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:Fortran>:${fortran_options}>)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder}
    Fortran_MODULE_DIRECTORY ${PROJECT_BINARY_DIR}/${folder}/${target}.mods INTERPROCEDURAL_OPTIMIZATION_RELEASE OFF)
  if(ARGN) # of MPI
    target_sources(${target} PRIVATE ${world})
    target_link_libraries(${target} PRIVATE maestro_mpi_fortran MPI::MPI_C)
  else()
    target_link_libraries(${target} PRIVATE maestro_fortran)
  endif()
endfunction()

if(MAESTRO_MPI_FAMILY)
  file(GLOB mpi_examples CONFIGURE_DEPENDS examples/mpi/*.f90)
  foreach(source IN LISTS mpi_examples)
    cmake_path(GET source STEM name)
    add_fortran_program(example_${name}_f90 ${source} examples MPI)
  endforeach()
endif()

if(NOT MAESTRO_TESTS)
  return()
endif()
foreach(source IN LISTS programs)
  cmake_path(GET source STEM name)
  if(name MATCHES "^mpi_")
    if(MAESTRO_MPI_FAMILY)
      add_fortran_program(fortran_${name} ${source} tests MPI)
      if(COMMAND link_driver)
        link_driver(fortran_${name})
      endif()
    endif()
    continue()
  elseif(NOT "client" IN_LIST MAESTRO_TEST_ROOMS)
    continue()
  endif()
  add_fortran_program(fortran_${name} ${source} tests)
  if(name MATCHES "_test$" AND TARGET maestro-pool)
    string(REGEX REPLACE "_test$" "" theme ${name})
    add_dependencies(fortran_${name} maestro-pool)
    add_test(NAME fortran.${theme} COMMAND fortran_${name})
    set_tests_properties(fortran.${theme} PROPERTIES LABELS fortran TIMEOUT 120 ENVIRONMENT "${test_environment}")
  endif()
endforeach()

# fortran.mpi_<thing>.<ranks>
function(add_mpi_test name ranks)
  add_test(NAME fortran.${name}.${ranks} COMMAND ${ARGN})
  set_tests_properties(fortran.${name}.${ranks} PROPERTIES LABELS "fortran;mpi" TIMEOUT 120 PROCESSORS ${ranks})
endfunction()
if(MAESTRO_MPI_FAMILY)
  foreach(source IN LISTS programs)
    cmake_path(GET source STEM name)
    if(name MATCHES "^mpi_.*_test$")
      string(REGEX REPLACE "_test$" "" theme ${name})
      foreach(ranks IN ITEMS 1 2 3 4)
        add_mpi_test(${theme} ${ranks} ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:fortran_${name}>)
      endforeach()
    endif()
  endforeach()
  # Bit for bit what the C programs say.
  foreach(example IN ITEMS stencil mesh)
    foreach(ranks IN ITEMS 1 2 3 4)
      add_mpi_test(example_${example} ${ranks} ${prints} ${${example}_lines}
        ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:example_${example}_f90>)
    endforeach()
  endforeach()
  # C gives, Fortran takes: all pairs of one and two ranks.
  add_program(fortran_mpi_give tests/fortran/mpi_give.c tests maestro_mpi maestro_dialect MPI::MPI_C)
  foreach(pair IN ITEMS "1;1" "1;2" "2;1" "2;2")
    list(GET pair 0 givers)
    list(GET pair 1 takers)
    math(EXPR ranks "${givers} + ${takers}")
    add_mpi_test(mpi_give_and_take_${givers}_${takers} ${ranks} ${MPIEXEC_EXECUTABLE}
      ${MPIEXEC_NUMPROC_FLAG} ${givers} $<TARGET_FILE:fortran_mpi_give> ${givers} :
      ${MPIEXEC_NUMPROC_FLAG} ${takers} $<TARGET_FILE:fortran_mpi_take> ${givers})
  endforeach()
endif()
