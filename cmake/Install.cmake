# What `cmake --install` gives to C users: header, library, programs, find_package(Maestro) and pkg-config.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Maestro)

install(FILES csrc/include/maestro.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS maestro EXPORT maestro_targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(MAESTRO_PROGRAMS)
  install(TARGETS ${MAESTRO_PROGRAMS} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(EXPORT maestro_targets NAMESPACE Maestro:: FILE MaestroTargets.cmake DESTINATION ${package_dir})

file(WRITE ${PROJECT_BINARY_DIR}/MaestroConfig.cmake "include(\${CMAKE_CURRENT_LIST_DIR}/MaestroTargets.cmake)\n")
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MaestroConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MaestroConfig.cmake ${PROJECT_BINARY_DIR}/MaestroConfigVersion.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/maestro.pc.in maestro.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/maestro.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
