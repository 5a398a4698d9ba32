/* The header is all that a C99 program needs; structs begin with struct_size and are zero by default. */
#include <flexgemm/flexgemm.h>

flexgemm_status header_alone(const flexgemm_context* context, flexgemm_conv3d** conv);

flexgemm_status header_alone(const flexgemm_context* context, flexgemm_conv3d** conv) {
  flexgemm_conv3d_options options = {0};
  options.struct_size = sizeof options;
  options.in_channels = 3;
  options.out_channels = 8;
  return flexgemm_conv3d_create(context, &options, conv);
}

flexgemm_status tuning_alone(flexgemm_context* context, const flexgemm_conv3d* conv, const flexgemm_map* map);

flexgemm_status tuning_alone(flexgemm_context* context, const flexgemm_conv3d* conv,
                             const flexgemm_map* map) {
  flexgemm_tuning_options tuning = {0};
  flexgemm_tune_request request = {0};
  flexgemm_tune_report* report = NULL;
  flexgemm_status status;
  tuning.struct_size = sizeof tuning;
  tuning.policy = FLEXGEMM_TUNE_ON_MISS;
  request.struct_size = sizeof request;
  status = flexgemm_context_set_tuning(context, &tuning);
  if (status == FLEXGEMM_OK) status = flexgemm_conv3d_tune(conv, map, &request, NULL, &report);
  flexgemm_tune_report_destroy(report);
  return status;
}
