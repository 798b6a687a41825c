# The Fortran module `maestro` (csrc/fortran), where a Fortran compiler and a Python that writes its repeated parts are found; nothing else needs them.
# Module files are of one compiler, so the library is static and knows that compiler alone.
# tests/fortran/<name>_test.f90 is a test by itself; the other programs there are run by tests/test_fortran.py, beside C and Python.
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
  set(fortran_options -std=f2018 -Wall -Wextra $<$<CONFIG:Debug>:-fcheck=all>)
  if(MAESTRO_WERROR)
    list(APPEND fortran_options -Werror)
  endif()
endif()

set(written ${PROJECT_BINARY_DIR}/generated/fortran)
file(GLOB templates CONFIGURE_DEPENDS csrc/fortran/*.f90.in tests/fortran/*.f90.in)
set(module_sources ${written}/maestro_c.f90)
set(test_sources)
foreach(template IN LISTS templates)
  cmake_path(GET template STEM LAST_ONLY name)
  if(template MATCHES "/tests/")
    list(APPEND test_sources ${written}/${name})
  else()
    list(APPEND module_sources ${written}/${name})
  endif()
endforeach()
add_custom_command(OUTPUT ${module_sources} ${test_sources} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  DEPENDS csrc/include/maestro.h ${templates} scripts/make_fortran.py scripts/check_bindings.py scripts/unwrapped-fortran.txt
  COMMAND ${CMAKE_COMMAND} -E env CC=${CMAKE_C_COMPILER} ${Python_EXECUTABLE} scripts/make_fortran.py ${written} ${templates}
  COMMENT "Fortran's view of maestro.h" VERBATIM)

file(GLOB hand_written CONFIGURE_DEPENDS csrc/fortran/*.f90)
add_library(maestro_fortran STATIC ${hand_written} ${module_sources} csrc/fortran/detail.c)
target_compile_options(maestro_fortran PRIVATE $<$<COMPILE_LANGUAGE:Fortran>:${fortran_options}>)
target_link_libraries(maestro_fortran PUBLIC maestro)
target_include_directories(maestro_fortran INTERFACE
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/fortran> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/maestro>)
set_target_properties(maestro_fortran PROPERTIES Fortran_MODULE_DIRECTORY ${PROJECT_BINARY_DIR}/fortran
  ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fortran INTERPROCEDURAL_OPTIMIZATION_RELEASE OFF)

install(TARGETS maestro_fortran EXPORT maestro_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_BINARY_DIR}/fortran/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/maestro FILES_MATCHING PATTERN "*.mod")
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/maestro-fortran.pc.in maestro-fortran.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/maestro-fortran.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(MAESTRO_TESTS)
  file(GLOB programs CONFIGURE_DEPENDS tests/fortran/*.f90)
  foreach(source IN LISTS programs test_sources)
    cmake_path(GET source STEM name)
    add_executable(fortran_${name} ${source})
    target_compile_options(fortran_${name} PRIVATE ${fortran_options})
    target_link_libraries(fortran_${name} PRIVATE maestro_fortran)
    set_target_properties(fortran_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
      Fortran_MODULE_DIRECTORY ${PROJECT_BINARY_DIR}/tests/fortran_${name}.mods INTERPROCEDURAL_OPTIMIZATION_RELEASE OFF)
    if(name MATCHES "_test$" AND TARGET maestro-pool)
      string(REGEX REPLACE "_test$" "" theme ${name})
      add_dependencies(fortran_${name} maestro-pool)
      add_test(NAME fortran.${theme} COMMAND fortran_${name})
      set_tests_properties(fortran.${theme} PROPERTIES LABELS fortran TIMEOUT 120 ENVIRONMENT "${test_environment}")
    endif()
  endforeach()
endif()
