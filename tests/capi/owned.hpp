#pragma once

#include <memory>

#include <flexgemm/flexgemm.h>

namespace flexgemm::capi_test {

struct Destroy {
  void operator()(flexgemm_context* handle) const { flexgemm_context_destroy(handle); }
  void operator()(flexgemm_map* handle) const { flexgemm_map_destroy(handle); }
  void operator()(flexgemm_conv3d* handle) const { flexgemm_conv3d_destroy(handle); }
  void operator()(flexgemm_plan* handle) const { flexgemm_plan_destroy(handle); }
  void operator()(flexgemm_buffer* handle) const { flexgemm_buffer_destroy(handle); }
  void operator()(flexgemm_tune_report* handle) const { flexgemm_tune_report_destroy(handle); }
};
/// A handle of the C interface that is given back.
template <class Handle>
using Owned = std::unique_ptr<Handle, Destroy>;

}  // namespace flexgemm::capi_test
