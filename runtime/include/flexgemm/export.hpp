#pragma once

/// Marks what the library exports; everything else is hidden.
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
