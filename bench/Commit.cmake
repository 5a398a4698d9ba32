# Writes OUTPUT with the commit of SOURCE as FLEXGEMM_BENCH_COMMIT, only when it changed. Run at every build.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --match=NeVeR
  OUTPUT_VARIABLE commit RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(failed OR NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "#pragma once\n\n#define FLEXGEMM_BENCH_COMMIT \"${commit}\"\n" @ONLY)
