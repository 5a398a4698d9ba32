# Install rules: the library with its CMake package and pkg-config file, the headers, and the programs.
include(CMakePackageConfigHelpers)

set(flexgemm_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/flexgemm)
get_target_property(flexgemm_library_type flexgemm_rt TYPE)

install(TARGETS flexgemm_rt EXPORT flexgemm-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/flexgemm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT flexgemm-targets NAMESPACE flexgemm:: DESTINATION ${flexgemm_package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/flexgemm-config.cmake.in
  ${PROJECT_BINARY_DIR}/package/flexgemm-config.cmake
  INSTALL_DESTINATION ${flexgemm_package_dir}
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/flexgemm-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/package/flexgemm-config.cmake
  ${PROJECT_BINARY_DIR}/package/flexgemm-config-version.cmake
  DESTINATION ${flexgemm_package_dir})

# pkg-config: paths relative to the file, so that an installed tree can be moved.
set(flexgemm_private_libraries "${CMAKE_THREAD_LIBS_INIT};-pthread")
foreach(library IN LISTS CMAKE_DL_LIBS)
  list(APPEND flexgemm_private_libraries "-l${library}")
endforeach()
if(FLEXGEMM_HAS_BLAS)
  list(APPEND flexgemm_private_libraries ${BLAS_LINKER_FLAGS} ${BLAS_LIBRARIES})
endif()
if(FLEXGEMM_HAS_CUDA)
  list(APPEND flexgemm_private_libraries "-L${CUDAToolkit_LIBRARY_DIR}" -lcudart_static -lrt)
endif()
list(REMOVE_DUPLICATES flexgemm_private_libraries)
list(REMOVE_ITEM flexgemm_private_libraries "")
list(JOIN flexgemm_private_libraries " " flexgemm_private_libraries)
file(RELATIVE_PATH flexgemm_prefix_from_pc
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/flexgemm.pc.in ${PROJECT_BINARY_DIR}/package/flexgemm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/flexgemm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET flexgemm-compile-worker)
  install(TARGETS flexgemm-compile-worker RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/flexgemm)
endif()

# Programs find the library beside them, wherever the tree is moved.
file(RELATIVE_PATH flexgemm_lib_from_bin /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
foreach(program IN ITEMS flexgemm-run flexgemm-tune)
  if(TARGET ${program})
    set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/${flexgemm_lib_from_bin}")
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
