#pragma once

#include <flexgemm/export.h>  // IWYU pragma: export
