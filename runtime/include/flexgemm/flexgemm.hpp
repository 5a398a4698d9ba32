#pragma once

// Everything of FlexGEMM in one include.
#include <flexgemm/allocator.hpp>     // IWYU pragma: export
#include <flexgemm/cache.hpp>         // IWYU pragma: export
#include <flexgemm/context.hpp>       // IWYU pragma: export
#include <flexgemm/conv3d.hpp>        // IWYU pragma: export
#include <flexgemm/device.hpp>        // IWYU pragma: export
#include <flexgemm/dtype.hpp>         // IWYU pragma: export
#include <flexgemm/epilogue.hpp>      // IWYU pragma: export
#include <flexgemm/error.hpp>         // IWYU pragma: export
#include <flexgemm/frame_map.hpp>     // IWYU pragma: export
#include <flexgemm/half.hpp>          // IWYU pragma: export
#include <flexgemm/interop.hpp>       // IWYU pragma: export
#include <flexgemm/kernels.hpp>       // IWYU pragma: export
#include <flexgemm/log.hpp>           // IWYU pragma: export
#include <flexgemm/neighbor_map.hpp>  // IWYU pragma: export
#include <flexgemm/plan.hpp>          // IWYU pragma: export
#include <flexgemm/tensor_view.hpp>   // IWYU pragma: export
#include <flexgemm/tuning.hpp>        // IWYU pragma: export
#include <flexgemm/version.hpp>       // IWYU pragma: export
#include <flexgemm/voxelizer.hpp>     // IWYU pragma: export
