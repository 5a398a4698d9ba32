include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${SCRATCH})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/prefix --config ${CONFIG})
foreach(file IN ITEMS include/flexgemm/flexgemm.hpp include/flexgemm/flexgemm.h include/flexgemm/dlpack.h
    include/flexgemm/dlpack.hpp ${LIBDIR}/pkgconfig/flexgemm.pc
    ${LIBDIR}/cmake/flexgemm/flexgemm-config.cmake ${LIBDIR}/cmake/flexgemm/flexgemm-config-version.cmake)
  if(NOT EXISTS ${SCRATCH}/prefix/${file})
    message(SEND_ERROR "${file} was not installed")
  endif()
endforeach()
# An installed program finds the library wherever the tree is moved.
if(EXISTS ${SCRATCH}/prefix/bin/flexgemm-run)
  file(RENAME ${SCRATCH}/prefix ${SCRATCH}/moved)
  run(${SCRATCH}/moved/bin/flexgemm-run --help)
  file(RENAME ${SCRATCH}/moved ${SCRATCH}/prefix)
endif()
