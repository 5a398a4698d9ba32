include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
run_example(${PROGRAM})
