#ifndef FLEXGEMM_EXPORT_H
#define FLEXGEMM_EXPORT_H

/// Marks what the library exports; everything else is hidden. For C and C++.
#if defined(_WIN32)
#if defined(FLEXGEMM_BUILDING_SHARED)
#define FLEXGEMM_API __declspec(dllexport)
#elif defined(FLEXGEMM_SHARED)
#define FLEXGEMM_API __declspec(dllimport)
#else
#define FLEXGEMM_API
#endif
#else
#define FLEXGEMM_API __attribute__((visibility("default")))
#endif

#endif
