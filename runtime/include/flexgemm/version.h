#ifndef FLEXGEMM_VERSION_H
#define FLEXGEMM_VERSION_H

// The build reads the project's version from these three lines. For C and C++.
#define FLEXGEMM_VERSION_MAJOR 0
#define FLEXGEMM_VERSION_MINOR 1
#define FLEXGEMM_VERSION_PATCH 0

/// One number to compare: 100 for 0.1.0.
#define FLEXGEMM_VERSION_NUMBER \
  (FLEXGEMM_VERSION_MAJOR * 10000 + FLEXGEMM_VERSION_MINOR * 100 + FLEXGEMM_VERSION_PATCH)

#endif
