# Programs in C: a CMake project of C alone, and a compiler with pkg-config. (The static library holds C++: a C program
# links it with a C++ compiler.)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
function(run_plugin program)
  run(${program})
  if(NOT run_output MATCHES "result checked: yes")
    message(FATAL_ERROR "${program} printed: ${run_output}")
  endif()
endfunction()

set(build ${SCRATCH}/find_package_c)
file(REMOVE_RECURSE ${build})
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/find_package_c -B ${build} -G ${GENERATOR}
  -DCMAKE_C_COMPILER=${CC} -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix -DEXAMPLE=${EXAMPLE} -DVERSION=${VERSION})
run(${CMAKE_COMMAND} --build ${build})
run_plugin(${build}/engine_plugin)

if(NOT PKG_CONFIG)
  message("skipped: pkg-config is not installed")
  return()
endif()
set(ENV{PKG_CONFIG_PATH} ${SCRATCH}/prefix/${LIBDIR}/pkgconfig)
run(${PKG_CONFIG} --cflags --libs flexgemm)
separate_arguments(flags UNIX_COMMAND "${run_output}")
run(${CC} -std=c99 -pedantic -Wall -Wextra -Werror ${EXAMPLE} -o ${build}/with_pkg_config ${flags}
  -Wl,-rpath,${SCRATCH}/prefix/${LIBDIR})
run_plugin(${build}/with_pkg_config)
