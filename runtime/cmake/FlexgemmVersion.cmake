# FLEXGEMM_VERSION, read from the public header: the version is written down once.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../include/flexgemm/version.h" flexgemm_version_lines
  REGEX "#define FLEXGEMM_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX MATCHALL "[0-9]+" flexgemm_version_numbers "${flexgemm_version_lines}")
list(JOIN flexgemm_version_numbers "." FLEXGEMM_VERSION)
