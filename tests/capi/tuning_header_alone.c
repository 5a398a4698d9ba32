/* flexgemm_tuning.h by itself. */
#include <flexgemm/flexgemm_tuning.h>

flexgemm_status pack_alone(const char* file, flexgemm_pack_info* info);

flexgemm_status pack_alone(const char* file, flexgemm_pack_info* info) {
  info->struct_size = sizeof *info;
  return flexgemm_pack_verify(file, info);
}
