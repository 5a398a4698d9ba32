#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/handles.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

namespace {

PlanOptions to_options(const flexgemm_plan_options* options) {
  const flexgemm_plan_options given = read_optional_struct(options, "options");
  PlanOptions result;
  result.forward = given.skip_forward == 0;
  if (given.has_bias != 0) result.bias = to_dtype(given.bias_dtype, "options->bias_dtype");
  result.input_gradient = given.input_gradient != 0;
  result.weight_gradient = given.weight_gradient != 0;
  result.bias_gradient = given.bias_gradient != 0;
  result.weight_gradient_type = to_dtype(given.weight_gradient_dtype, "options->weight_gradient_dtype");
  result.bias_gradient_type = to_dtype(given.bias_gradient_dtype, "options->bias_gradient_dtype");
  result.accumulate = given.accumulate != 0;
  result.transposed_weight = given.transposed_weight != 0;
  if (given.alignment != 0) result.alignment = given.alignment;
  result.own_workspace = given.no_workspace == 0;
  if (given.like != nullptr) result.like = &given.like->object;
  return result;
}

}  // namespace

flexgemm_status flexgemm_plan_create(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                     const flexgemm_plan_options* options, void* stream,
                                     flexgemm_plan** plan) {
  return guarded([&] {
    require_target(plan, "plan");
    require_pointer(conv, "conv");
    require_pointer(map, "map");
    *plan = new flexgemm_plan{
        {conv->allocator, conv->object.freeze(map->object, to_options(options), to_stream(stream))}};
  });
}

void flexgemm_plan_destroy(flexgemm_plan* plan) { delete plan; }

flexgemm_status flexgemm_plan_get_workspace_bytes(const flexgemm_plan* plan, size_t* bytes) {
  return guarded([&] {
    require_pointer(bytes, "bytes");
    require_pointer(plan, "plan");
    *bytes = plan->object.workspace_bytes();
  });
}

flexgemm_status flexgemm_plan_get_choice(const flexgemm_plan* plan, flexgemm_op op,
                                         flexgemm_algorithm* algorithm, char* kernel, size_t capacity,
                                         size_t* length) {
  return guarded([&] {
    require_pointer(plan, "plan");
    write_choice(plan->object.choice(to_op(op)), algorithm, kernel, capacity, length);
  });
}

flexgemm_status flexgemm_plan_forward(const flexgemm_plan* plan, const flexgemm_tensor* feats,
                                      const flexgemm_tensor* weight, const flexgemm_tensor* out,
                                      const flexgemm_operands* operands, void* workspace,
                                      size_t workspace_bytes, void* stream) {
  return guarded([&] {
    require_pointer(plan, "plan");
    plan->object.forward(to_view(feats, "feats"), to_view(weight, "weight"), to_view(out, "out"),
                         to_operands(operands), {.data = workspace, .bytes = workspace_bytes},
                         to_stream(stream));
  });
}

flexgemm_status flexgemm_plan_backward(const flexgemm_plan* plan, const flexgemm_tensor* grad_out,
                                       const flexgemm_tensor* feats, const flexgemm_tensor* weight,
                                       const flexgemm_gradients* gradients, void* workspace,
                                       size_t workspace_bytes, void* stream) {
  return guarded([&] {
    require_pointer(plan, "plan");
    plan->object.backward(to_view(grad_out, "grad_out"), to_view(feats, "feats"), to_view(weight, "weight"),
                          to_gradients(gradients), {.data = workspace, .bytes = workspace_bytes},
                          to_stream(stream));
  });
}
