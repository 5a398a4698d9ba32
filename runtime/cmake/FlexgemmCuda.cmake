# FLEXGEMM_HAS_CUDA: whether the CUDA backend is built, from FLEXGEMM_CUDA and from what is installed.
# flexgemm_cuda_target(name): gives a target with .cu sources its CUDA settings.
set(FLEXGEMM_CUDA_ARCHITECTURES "" CACHE STRING
  "GPU architectures of the map kernels, as CMAKE_CUDA_ARCHITECTURES; empty: all that the toolkit and the library support. \
One architecture, such as 90, builds quicker. Convolution kernels are compiled at run time and are not concerned.")

set(FLEXGEMM_HAS_CUDA OFF)
if(NOT FLEXGEMM_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
  endif()
  check_language(CUDA)
  set(cuda_lack "no CUDA compiler was found")
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE nvcc_version ERROR_QUIET)
    if(nvcc_version MATCHES "release ([0-9]+\\.[0-9]+)" AND CMAKE_MATCH_1 VERSION_GREATER_EQUAL 12.4)
      set(FLEXGEMM_HAS_CUDA ON)
    else()
      set(cuda_lack "${CMAKE_CUDA_COMPILER} is of CUDA ${CMAKE_MATCH_1}, older than 12.4")
    endif()
  endif()
  if(NOT FLEXGEMM_HAS_CUDA AND FLEXGEMM_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FLEXGEMM_CUDA is ON but ${cuda_lack}.\n"
      "Install a CUDA toolkit (12.4 or newer), set CUDACXX to its nvcc, or configure with -DFLEXGEMM_CUDA=AUTO.")
  endif()
endif()

if(FLEXGEMM_HAS_CUDA)
  # Targets name their own architectures; this only keeps CMake from choosing one for its compiler test.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75)
  endif()
  enable_language(CUDA)
  find_package(CUDAToolkit 12.4 REQUIRED)
  if(NOT FLEXGEMM_CUDA_ARCHITECTURES)
    # Machine code for every generation, and the newest as PTX for GPUs to come. sm_80 code also runs on sm_86 to
    # sm_89; sm_110 takes the PTX of 100.
    set(FLEXGEMM_CUDA_ARCHITECTURES 75-real 80-real)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
      list(APPEND FLEXGEMM_CUDA_ARCHITECTURES 90-real 100 120)
    else()
      list(APPEND FLEXGEMM_CUDA_ARCHITECTURES 90)
    endif()
  endif()
endif()

function(flexgemm_cuda_target target)
  set_target_properties(${target} PROPERTIES
    CUDA_ARCHITECTURES "${FLEXGEMM_CUDA_ARCHITECTURES}"
    CUDA_RUNTIME_LIBRARY Static
    CUDA_SEPARABLE_COMPILATION OFF
    CUDA_VISIBILITY_PRESET hidden)
  # CMake 3.25 does not know nvcc's C++20, so the property CUDA_STANDARD cannot ask for it.
  set(options -std=c++20 --expt-relaxed-constexpr --threads=2 -Xcompiler=-Wall,-Wextra -Xcudafe=--display_error_number)
  if(FLEXGEMM_WARNINGS_AS_ERRORS)
    list(APPEND options -Werror=all-warnings)
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${options}>")
  # For cuda.h and nvrtc.h only: neither libcuda nor libnvrtc is linked. The static runtime's symbols stay inside.
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_options(${target} PRIVATE LINKER:--exclude-libs,libcudart_static.a)
endfunction()

message(STATUS "FlexGEMM: CUDA backend ${FLEXGEMM_HAS_CUDA} ${FLEXGEMM_CUDA_ARCHITECTURES}")
