#include <array>
#include <string>

#include <flexgemm/tuning.hpp>

#include "core/backend.hpp"
#include "core/fail.hpp"
#include "core/validate.hpp"

namespace flexgemm {

using namespace detail;

const char* name(TuningPolicy policy) noexcept {
  switch (policy) {
    case TuningPolicy::never:
      return "never";
    case TuningPolicy::on_miss:
      return "on_miss";
    case TuningPolicy::force:
      return "force";
  }
  return "unknown";
}

TuningPolicy parse_tuning_policy(std::string_view text) {
  for (const TuningPolicy policy : {TuningPolicy::never, TuningPolicy::on_miss, TuningPolicy::force}) {
    if (text == name(policy)) return policy;
  }
  fail(ErrorCode::invalid_argument, "the tuning policy \"{}\" is unknown; use never, on_miss or force", text);
}

const char* name(TuneEnd end) noexcept {
  switch (end) {
    case TuneEnd::complete:
      return "complete";
    case TuneEnd::budget:
      return "budget";
    case TuneEnd::cancelled:
      return "cancelled";
  }
  return "unknown";
}

TuneReport Conv3d::tune(const NeighborMap& map, const TuneRequest& request, Stream stream) const {
  check_map(map);
  if (map.data_->is_frame()) {
    fail(ErrorCode::invalid_argument,
         "the map of a FrameMap has no content of its own; tune on a NeighborMap of a typical frame, as "
         "large");
  }
  if (request.jobs < 0) {
    fail(ErrorCode::invalid_argument, "TuneRequest::jobs is {}; use 0 for one a processor", request.jobs);
  }
  if (request.most_candidates < 0) {
    fail(ErrorCode::invalid_argument, "TuneRequest::most_candidates is {}; use 0 for all",
         request.most_candidates);
  }
  if (request.pass.bias && request.pass.op != Op::forward) {
    fail(ErrorCode::invalid_argument, "a bias was asked for in tuning {}; only forward has one",
         name(request.pass.op));
  }
  if (request.pass.bias && *request.pass.bias != DType::f32 &&
      *request.pass.bias != storage_type(options_.dtype)) {
    fail(ErrorCode::invalid_argument, "a bias of type {} was asked for; it must be {} or f32",
         name(*request.pass.bias), name(storage_type(options_.dtype)));
  }
  const bool result_fits =
      !request.pass.result ||
      (request.pass.op == Op::grad_weight &&
       (*request.pass.result == DType::f32 || *request.pass.result == storage_type(options_.dtype)));
  if (!result_fits) {
    fail(ErrorCode::invalid_argument,
         "a result of type {} was asked for in tuning {}; only grad_weight has a choice, {} or f32",
         name(*request.pass.result), name(request.pass.op), name(storage_type(options_.dtype)));
  }
  if (map.rows() == 0) {
    fail(ErrorCode::invalid_argument, "the neighbor map has no rows; nothing can be measured on it");
  }
  return backend_->tune(options_, *map.data_, request, stream);
}

}  // namespace flexgemm
