# Each maestro/<name>.pyx becomes the module maestro.<name>.  Installing the component "python" puts modules, library and programs
# where the package looks for them: <prefix>/<name>.so, <prefix>/_lib, <prefix>/_bin.  The prefix is the package's folder.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module NumPy)
execute_process(COMMAND ${Python_EXECUTABLE} -m cython --version RESULT_VARIABLE no_cython OUTPUT_QUIET ERROR_QUIET)
if(no_cython)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no Cython; install the packages that pyproject.toml names under build-system")
endif()

file(GLOB modules CONFIGURE_DEPENDS maestro/*.pyx)
foreach(source IN LISTS modules)
  cmake_path(GET source STEM name)
  set(c_file ${PROJECT_BINARY_DIR}/cython/${name}.c)
  add_custom_command(OUTPUT ${c_file} DEPENDS ${source} DEPFILE ${c_file}.dep
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/cython
    COMMAND ${Python_EXECUTABLE} -m cython -3 -M --module-name maestro.${name} -o ${c_file} ${source}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "Cython maestro.${name}" VERBATIM)
  Python_add_library(python_${name} MODULE WITH_SOABI ${c_file})
  target_link_libraries(python_${name} PRIVATE maestro Python::NumPy)
  target_compile_definitions(python_${name} PRIVATE NPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION)
  target_compile_options(python_${name} PRIVATE -Wno-all -Wno-extra)
  set_target_properties(python_${name} PROPERTIES OUTPUT_NAME ${name} INSTALL_RPATH "$ORIGIN/_lib")
  install(TARGETS python_${name} LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
endforeach()

install(PROGRAMS $<TARGET_FILE:maestro> DESTINATION _lib RENAME $<TARGET_SONAME_FILE_NAME:maestro>
  COMPONENT python EXCLUDE_FROM_ALL)
if(MAESTRO_PROGRAMS OR MAESTRO_BENCHMARKS)
  install(TARGETS ${MAESTRO_PROGRAMS} ${MAESTRO_BENCHMARKS} RUNTIME DESTINATION _bin COMPONENT python EXCLUDE_FROM_ALL)
endif()
