# The rooms of the C core and the two forms they are linked in:
#   maestro       the shared library for applications: no pool manager in it, only maestro_* visible
#   maestro_core  everything below the executables, static, internal names within reach: for executables, C tests, benchmarks
set(MAESTRO_ROOMS base meta mem array wire pool client)
set(library_rooms base meta mem array wire client)

# Built-in schemas are compiled in: <build>/generated/meta/schemas/<name>.yaml.inc holds the file's bytes as C initialisers.
file(GLOB schemas CONFIGURE_DEPENDS csrc/meta/schemas/*.yaml)
set(generated ${PROJECT_BINARY_DIR}/generated)
set(embedded)
foreach(schema IN LISTS schemas)
  cmake_path(GET schema FILENAME name)
  set(output ${generated}/meta/schemas/${name}.inc)
  add_custom_command(OUTPUT ${output} DEPENDS ${schema} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    COMMAND ${CMAKE_COMMAND} -DINPUT=${schema} -DOUTPUT=${output} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  list(APPEND embedded ${output})
endforeach()
add_custom_target(maestro_embedded DEPENDS ${embedded})

function(room_sources room sources_out)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/${room}/*.c)
  list(FILTER sources EXCLUDE REGEX "_test\\.c$")
  set(${sources_out} ${sources} PARENT_SCOPE)
endfunction()

set(core_objects)
set(library_objects)
foreach(room IN LISTS MAESTRO_ROOMS)
  room_sources(${room} sources)
  if(sources)
    add_library(room_${room} OBJECT ${sources})
    target_link_libraries(room_${room} PRIVATE maestro_dialect)
    target_include_directories(room_${room} PRIVATE ${generated})
    target_compile_options(room_${room} PRIVATE ${plain_too})
    add_dependencies(room_${room} maestro_embedded)
    list(APPEND core_objects $<TARGET_OBJECTS:room_${room}>)
    if(room IN_LIST library_rooms)
      list(APPEND library_objects $<TARGET_OBJECTS:room_${room}>)
    endif()
  endif()
endforeach()

add_library(maestro_core STATIC ${core_objects})
target_link_libraries(maestro_core PUBLIC maestro_dialect)

set(version_script ${PROJECT_SOURCE_DIR}/cmake/maestro.map)
add_library(maestro SHARED ${library_objects})
target_link_libraries(maestro PRIVATE maestro_dialect)
target_include_directories(maestro INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/csrc/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_options(maestro PRIVATE -Wl,--version-script=${version_script})
set_target_properties(maestro PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${version_script})
if(NOT MAESTRO_SANITIZE)
  target_link_options(maestro PRIVATE -Wl,--no-undefined)
endif()
