# flexgemm_find(package version debian_package purpose): find_package that says what to install when it fails.
function(flexgemm_find package version debian_package purpose)
  find_package(${package} ${version} QUIET CONFIG)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} ${version} is needed for ${purpose} and was not found.\n"
      "Install it with: apt-get install ${debian_package}\n"
      "or let cli/install_dependencies.sh install everything.")
  endif()
endfunction()

find_package(Threads REQUIRED)
flexgemm_find(fmt 9 libfmt-dev "formatting messages")
flexgemm_find(nlohmann_json 3.9 nlohmann-json3-dev "JSON files")
if(FLEXGEMM_BUILD_CLI OR FLEXGEMM_BUILD_TESTS OR FLEXGEMM_BUILD_BENCH)
  flexgemm_find(CLI11 2.1 libcli11-dev "command lines")
  find_package(ZLIB QUIET)
  if(NOT ZLIB_FOUND)
    message(FATAL_ERROR "zlib is needed to read .npz files and was not found.\nInstall it with: apt-get install zlib1g-dev")
  endif()
endif()
if(FLEXGEMM_BUILD_TESTS)
  flexgemm_find(Catch2 3 "catch2 (Debian 12: from bookworm-backports)" "the tests")
endif()

# A BLAS speeds up explicit_gemm on the CPU; without one the library uses its own kernels.
option(FLEXGEMM_BLAS "Use a BLAS on the CPU if one is found" ON)
set(FLEXGEMM_HAS_BLAS OFF)
if(FLEXGEMM_BLAS)
  find_package(BLAS QUIET)
  set(FLEXGEMM_HAS_BLAS ${BLAS_FOUND})
endif()
message(STATUS "FlexGEMM: BLAS ${FLEXGEMM_HAS_BLAS} ${BLAS_LIBRARIES}")
