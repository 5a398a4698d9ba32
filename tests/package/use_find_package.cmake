include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(build ${SCRATCH}/find_package)
file(REMOVE_RECURSE ${build})
# The program knows nothing of what the library is made with: fmt must not be asked for.
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/find_package -B ${build} -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix -DEXAMPLE=${EXAMPLE} -DVERSION=${VERSION}
  -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON)
run(${CMAKE_COMMAND} --build ${build})
run_example(${build}/quickstart)
