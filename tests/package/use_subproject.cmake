include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
file(REMOVE_RECURSE ${SCRATCH})
set(absent)
foreach(package IN ITEMS CLI11 Catch2 ZLIB)
  list(APPEND absent -DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON)
endforeach()
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/subproject -B ${SCRATCH} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
  -DFLEXGEMM_SOURCE=${SOURCE} -DEXAMPLE=${EXAMPLE} -DFLEXGEMM_CUDA=OFF -DFLEXGEMM_BLAS=${BLAS} -Dfmt_DIR=${FMT_DIR}
  ${absent})
run(${CMAKE_COMMAND} --build ${SCRATCH} --parallel 2)
run_example(${SCRATCH}/quickstart)
