// Versions, names, errors and the log.
#include <string>

#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/guard.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

namespace {

/// The name of what a number stands for, or "unknown".
template <class Convert>
const char* name_of(const Convert& convert) noexcept {
  try {
    return name(convert());
  } catch (...) {
    return "unknown";
  }
}

}  // namespace

const char* flexgemm_version(void) { return version(); }
int32_t flexgemm_version_number(void) { return FLEXGEMM_VERSION_NUMBER; }

const char* flexgemm_status_name(flexgemm_status status) {
  switch (status) {
    case FLEXGEMM_OK:
      return "ok";
    case FLEXGEMM_INVALID_ARGUMENT:
      return name(ErrorCode::invalid_argument);
    case FLEXGEMM_INVALID_COORDINATE:
      return name(ErrorCode::invalid_coordinate);
    case FLEXGEMM_UNSUPPORTED:
      return name(ErrorCode::unsupported);
    case FLEXGEMM_NO_DEVICE:
      return name(ErrorCode::no_device);
    case FLEXGEMM_OUT_OF_MEMORY:
      return name(ErrorCode::out_of_memory);
    case FLEXGEMM_DRIVER:
      return name(ErrorCode::driver);
    case FLEXGEMM_COMPILE:
      return name(ErrorCode::compile);
    case FLEXGEMM_IO:
      return name(ErrorCode::io);
    case FLEXGEMM_INTERNAL:
      return name(ErrorCode::internal);
    case FLEXGEMM_STATUS_MAX_:
      break;
  }
  return "unknown";
}

const char* flexgemm_dtype_name(flexgemm_dtype dtype) {
  return name_of([dtype] { return to_dtype(dtype, "dtype"); });
}
const char* flexgemm_op_name(flexgemm_op op) {
  return name_of([op] { return to_op(op); });
}
const char* flexgemm_algorithm_name(flexgemm_algorithm algorithm) {
  return name_of([algorithm] { return to_algorithm(algorithm); });
}

const char* flexgemm_activation_name(flexgemm_activation activation) {
  return name_of([activation] { return to_activation(activation); });
}
const char* flexgemm_tuning_policy_name(flexgemm_tuning_policy policy) {
  return name_of([policy] { return to_tuning_policy(policy); });
}

const char* flexgemm_tuning_end_name(flexgemm_tuning_end end) {
  return name_of([end] { return to_tuning_end(end); });
}
const char* flexgemm_finding_kind_name(flexgemm_finding_kind kind) {
  return name_of([kind] { return to_finding_kind(kind); });
}

const char* flexgemm_last_error_message(void) { return last_failure(); }

flexgemm_status flexgemm_set_last_error(flexgemm_status status, const char* message) {
  return record_failure(status, message == nullptr ? "" : message);
}

flexgemm_status flexgemm_set_log_callback(flexgemm_log_callback callback, void* user_data,
                                          flexgemm_log_level level) {
  return guarded([&] {
    if (callback == nullptr) {
      set_log_callback({});
      return;
    }
    if (level != FLEXGEMM_LOG_DECISION && level != FLEXGEMM_LOG_LAUNCH) {
      detail::fail(ErrorCode::invalid_argument,
                   "level is {}, which is no flexgemm_log_level; use 1 (decisions) or 2 (also launches)",
                   level);
    }
    set_log_callback(
        [callback, user_data](LogLevel line_level, std::string_view line) {
          callback(user_data, static_cast<flexgemm_log_level>(line_level), std::string(line).c_str());
        },
        static_cast<LogLevel>(level));
  });
}
