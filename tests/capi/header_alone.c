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
