# Steps that the scripts of this folder share.

# run(command ...): fails the test with the command's output if it fails. Sets run_output.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "exit ${result}: ${command}\n${output}\n${errors}")
  endif()
  set(run_output "${output}" PARENT_SCOPE)
endfunction()

# run_example(program): the example adds 1 for every pair, so it prints the same number twice.
function(run_example program)
  run(${program})
  if(NOT run_output MATCHES "^4096 voxels, ([0-9]+) pairs, sum ([0-9]+)\n$" OR
     NOT CMAKE_MATCH_1 STREQUAL CMAKE_MATCH_2 OR CMAKE_MATCH_1 LESS 4096)
    message(FATAL_ERROR "the example printed: ${run_output}")
  endif()
  message(STATUS "${program}: ${run_output}")
endfunction()
