/* A plug-in of an engine, in C99: the engine owns memory, log and frames; the plug-in holds two layers of
 * sparse convolution and runs them on each frame's voxels.
 *
 *   engine_plugin [cpu|cuda] [FILE]     FILE: a voxel a line, "x y z"; without it a made-up scene
 *
 * It prints what ran and checks the result against plain loops in double. Exit codes: 0 right, 1 wrong or
 * failed, 4 no such device.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flexgemm/flexgemm.h>

/* ---- The plug-in ----------------------------------------------------------------------------------------
 */

enum { channels_in = 4, channels_between = 16, channels_out = 8, volume = 27 };

typedef struct plugin {
  flexgemm_context* context;
  flexgemm_conv3d* layers[2];
  flexgemm_buffer* weights[2]; /* [Co, 3, 3, 3, Ci] */
} plugin;

/* A frame on the host: voxels [count][4] (batch, x, y, z) inside the grid, and features [count][channels_in].
 */
typedef struct frame {
  int64_t count;
  int32_t* voxels;
  float* features;
  int32_t extent[3];
} frame;

/* Leaves the function with the library's status; the message stays for whoever reports it. */
#define TRY(call)                         \
  do {                                    \
    status = (call);                      \
    if (status != FLEXGEMM_OK) goto done; \
  } while (0)

static const int64_t layer_in[2] = {channels_in, channels_between};
static const int64_t layer_out[2] = {channels_between, channels_out};

static int64_t weight_count(int layer) { return layer_out[layer] * volume * layer_in[layer]; }

/* A buffer on the device; filled from `source` unless that is NULL. */
static flexgemm_status device_copy(const plugin* self, const void* source, size_t bytes,
                                   flexgemm_buffer** buffer, void** data) {
  flexgemm_status status;
  TRY(flexgemm_buffer_create(self->context, bytes, NULL, buffer));
  TRY(flexgemm_buffer_get_data(*buffer, data));
  if (source != NULL) TRY(flexgemm_copy_to_device(self->context, *data, source, bytes, NULL));
done:
  return status;
}

static void plugin_stop(plugin* self) {
  int i;
  for (i = 0; i < 2; ++i) {
    flexgemm_conv3d_destroy(self->layers[i]);
    flexgemm_buffer_destroy(self->weights[i]);
  }
  flexgemm_context_destroy(self->context);
  memset(self, 0, sizeof *self);
}

static flexgemm_status plugin_start(plugin* self, flexgemm_device_kind device,
                                    const flexgemm_allocator* memory, float* const weights[2]) {
  flexgemm_status status;
  flexgemm_context_options options = {0};
  flexgemm_epilogue relu = {0};
  int i;
  memset(self, 0, sizeof *self);
  options.struct_size = sizeof options;
  options.allocator = memory;
  relu.struct_size = sizeof relu;
  relu.activation = FLEXGEMM_RELU;
  TRY(flexgemm_context_open(device, 0, &options, &self->context));
  for (i = 0; i < 2; ++i) {
    flexgemm_conv3d_options layer = {0};
    void* data = NULL;
    layer.struct_size = sizeof layer;
    layer.in_channels = layer_in[i];
    layer.out_channels = layer_out[i];
    if (i == 0) layer.epilogue = &relu; /* between the layers, at no cost */
    TRY(flexgemm_conv3d_create(self->context, &layer, &self->layers[i]));
    TRY(device_copy(self, weights[i], (size_t)weight_count(i) * sizeof(float), &self->weights[i], &data));
  }
done:
  if (status != FLEXGEMM_OK) plugin_stop(self);
  return status;
}

static flexgemm_status run_layer(const plugin* self, int i, const flexgemm_map* map, const void* in,
                                 void* out, int64_t rows) {
  void* data = NULL;
  flexgemm_tensor feats, weight, result;
  const flexgemm_status status = flexgemm_buffer_get_data(self->weights[i], &data);
  if (status != FLEXGEMM_OK) return status;
  feats = flexgemm_tensor_2d(in, FLEXGEMM_F32, rows, layer_in[i]);
  weight = flexgemm_tensor_5d(data, FLEXGEMM_F32, layer_out[i], 3, 3, 3, layer_in[i]);
  result = flexgemm_tensor_2d(out, FLEXGEMM_F32, rows, layer_out[i]);
  return flexgemm_conv3d_forward(self->layers[i], map, &feats, &weight, NULL, &result, NULL);
}

/* From a frame to features [count][channels_out] on the host, and the number of pairs of neighbors. */
static flexgemm_status plugin_frame(const plugin* self, const frame* scene, float* result, int64_t* pairs) {
  flexgemm_status status;
  flexgemm_buffer* buffers[4] = {NULL, NULL, NULL, NULL};
  void *coords_data = NULL, *in = NULL, *between = NULL, *out = NULL;
  flexgemm_map* map = NULL;
  flexgemm_grid grid = {0};
  flexgemm_tensor coords;
  const size_t n = (size_t)scene->count;
  int i;
  grid.struct_size = sizeof grid;
  grid.batch = 1;
  grid.x = scene->extent[0];
  grid.y = scene->extent[1];
  grid.z = scene->extent[2];
  TRY(device_copy(self, scene->voxels, n * 4 * sizeof(int32_t), &buffers[0], &coords_data));
  TRY(device_copy(self, scene->features, n * channels_in * sizeof(float), &buffers[1], &in));
  TRY(device_copy(self, NULL, n * channels_between * sizeof(float), &buffers[2], &between));
  TRY(device_copy(self, NULL, n * channels_out * sizeof(float), &buffers[3], &out));
  coords = flexgemm_tensor_2d(coords_data, FLEXGEMM_I32, scene->count, 4);
  TRY(flexgemm_submanifold_map_create(self->context, &coords, &grid, NULL, NULL, &map));
  TRY(flexgemm_map_get_pairs(map, pairs));
  TRY(run_layer(self, 0, map, in, between, scene->count));
  TRY(run_layer(self, 1, map, between, out, scene->count));
  TRY(flexgemm_copy_to_host(self->context, result, out, n * channels_out * sizeof(float), NULL));
done:
  flexgemm_map_destroy(map);
  for (i = 0; i < 4; ++i) flexgemm_buffer_destroy(buffers[i]);
  return status;
}

/* ---- The engine: its memory, its log, its scene ---------------------------------------------------------
 */

/* The engine's heap for the CPU: 256-byte blocks with what malloc returned in front of them, counted. The
 * library may call from several threads; this engine runs one frame at a time on one. */
typedef struct heap {
  long blocks, taken;
} heap;

static void* heap_allocate(void* user_data, size_t bytes, void* stream) {
  heap* self = (heap*)user_data;
  char *base = (char*)malloc(bytes + 256 + sizeof(void*)), *block;
  (void)stream;
  if (base == NULL) return NULL;
  block = base + sizeof(void*);
  block += (256 - (uintptr_t)block % 256) % 256;
  memcpy(block - sizeof(void*), &base, sizeof base);
  ++self->blocks;
  ++self->taken;
  return block;
}

static void heap_deallocate(void* user_data, void* pointer, size_t bytes, void* stream) {
  void* base;
  (void)bytes;
  (void)stream;
  memcpy(&base, (char*)pointer - sizeof(void*), sizeof base);
  free(base);
  --((heap*)user_data)->blocks;
}

static void engine_log(void* user_data, flexgemm_log_level level, const char* line) {
  (void)level;
  printf("%s%s\n", (const char*)user_data, line);
}

static float next_random(uint32_t* state) { /* about -1 to 1, the same on every machine */
  *state = *state * 1664525u + 1013904223u;
  return (float)(*state >> 8) * (2.0f / 16777216.0f) - 1.0f;
}

/* Room for `capacity` voxels; 0 if there is no memory. */
static int frame_reserve(frame* scene, int64_t capacity) {
  int32_t* grown = (int32_t*)realloc(scene->voxels, (size_t)capacity * 4 * sizeof(int32_t));
  if (grown == NULL) return 0;
  scene->voxels = grown;
  return 1;
}

static int add_voxel(frame* scene, int64_t* capacity, int32_t x, int32_t y, int32_t z) {
  int32_t* voxel;
  if (scene->count == *capacity) {
    *capacity = *capacity * 2 + 1024;
    if (!frame_reserve(scene, *capacity)) return 0;
  }
  voxel = scene->voxels + 4 * scene->count++;
  voxel[0] = 0;
  voxel[1] = x;
  voxel[2] = y;
  voxel[3] = z;
  return 1;
}

/* The voxels of a file, or the shell of a ball; 0 with a line on stderr if that fails. */
static int load_voxels(frame* scene, const char* path) {
  int64_t capacity = 0;
  int x, y, z;
  if (path == NULL) {
    for (x = -20; x <= 20; ++x)
      for (y = -20; y <= 20; ++y)
        for (z = -20; z <= 20; ++z) {
          const int square = x * x + y * y + z * z;
          if (square >= 18 * 18 && square < 20 * 20 && !add_voxel(scene, &capacity, x, y, z)) return 0;
        }
  } else {
    FILE* file = fopen(path, "r");
    int fields;
    if (file == NULL) {
      fprintf(stderr, "%s cannot be opened\n", path);
      return 0;
    }
    while ((fields = fscanf(file, "%d %d %d", &x, &y, &z)) == 3) {
      if (!add_voxel(scene, &capacity, x, y, z)) break;
    }
    fclose(file);
    if (fields != EOF) {
      fprintf(stderr, "%s: line %ld is not a voxel \"x y z\"\n", path, (long)scene->count + 1);
      return 0;
    }
  }
  if (scene->count == 0) fprintf(stderr, "there are no voxels\n");
  return scene->count != 0;
}

/* Moves the voxels so that the grid begins at 0, and makes features for them. */
static int prepare_frame(frame* scene) {
  int32_t low[3], high[3];
  uint32_t random = 1;
  int64_t i;
  int axis;
  for (axis = 0; axis < 3; ++axis) {
    low[axis] = high[axis] = scene->voxels[1 + axis];
    for (i = 1; i < scene->count; ++i) {
      const int32_t at = scene->voxels[4 * i + 1 + axis];
      if (at < low[axis]) low[axis] = at;
      if (at > high[axis]) high[axis] = at;
    }
    if ((int64_t)high[axis] - low[axis] > 255) {
      fprintf(stderr, "this example checks scenes of at most 256 cells along an axis\n");
      return 0;
    }
    for (i = 0; i < scene->count; ++i) scene->voxels[4 * i + 1 + axis] -= low[axis];
    scene->extent[axis] = high[axis] - low[axis] + 1;
  }
  scene->features = (float*)malloc((size_t)scene->count * channels_in * sizeof(float));
  if (scene->features == NULL) return 0;
  for (i = 0; i < scene->count * channels_in; ++i) scene->features[i] = next_random(&random);
  return 1;
}

/* ---- The check: both layers by plain loops over a dense grid of row numbers -------------------------------
 */

static int64_t cell_of(const frame* scene, int32_t x, int32_t y, int32_t z) {
  return ((int64_t)x * scene->extent[1] + y) * scene->extent[2] + z;
}

static int inside(const frame* scene, int32_t x, int32_t y, int32_t z) {
  return x >= 0 && y >= 0 && z >= 0 && x < scene->extent[0] && y < scene->extent[1] && z < scene->extent[2];
}

static void reference_layer(const frame* scene, const int64_t* row_at, const double* in, int64_t ci,
                            const float* weight, int64_t co, double* out) {
  int64_t n, c, o;
  int v;
  for (n = 0; n < scene->count; ++n) {
    const int32_t* at = scene->voxels + 4 * n;
    for (o = 0; o < co; ++o) out[n * co + o] = 0;
    for (v = 0; v < volume; ++v) {
      const int32_t x = at[1] + v / 9 - 1, y = at[2] + v / 3 % 3 - 1, z = at[3] + v % 3 - 1;
      const int64_t row = inside(scene, x, y, z) ? row_at[cell_of(scene, x, y, z)] : -1;
      if (row < 0) continue;
      for (o = 0; o < co; ++o)
        for (c = 0; c < ci; ++c) out[n * co + o] += in[row * ci + c] * weight[(o * volume + v) * ci + c];
    }
  }
}

/* ||result - reference||^2 / ||reference||^2, or -1 without memory. */
static double squared_error(const frame* scene, float* const weights[2], const float* result) {
  const int64_t cells = (int64_t)scene->extent[0] * scene->extent[1] * scene->extent[2];
  const size_t n = (size_t)scene->count;
  int64_t* row_at = (int64_t*)malloc((size_t)cells * sizeof(int64_t));
  double* in = (double*)malloc(n * channels_in * sizeof(double));
  double* between = (double*)malloc(n * channels_between * sizeof(double));
  double* out = (double*)malloc(n * channels_out * sizeof(double));
  double difference = 0, size = 0, error = -1;
  int64_t i;
  if (row_at != NULL && in != NULL && between != NULL && out != NULL) {
    for (i = 0; i < cells; ++i) row_at[i] = -1;
    for (i = 0; i < scene->count; ++i) {
      const int32_t* at = scene->voxels + 4 * i;
      row_at[cell_of(scene, at[1], at[2], at[3])] = i;
    }
    for (i = 0; i < scene->count * channels_in; ++i) in[i] = scene->features[i];
    reference_layer(scene, row_at, in, channels_in, weights[0], channels_between, between);
    for (i = 0; i < scene->count * channels_between; ++i) between[i] = between[i] < 0 ? 0 : between[i];
    reference_layer(scene, row_at, between, channels_between, weights[1], channels_out, out);
    for (i = 0; i < scene->count * channels_out; ++i) {
      difference += (result[i] - out[i]) * (result[i] - out[i]);
      size += out[i] * out[i];
    }
    error = difference / size;
  }
  free(row_at);
  free(in);
  free(between);
  free(out);
  return error;
}

/* ---- One run ----------------------------------------------------------------------------------------------
 */

static int failed(flexgemm_status status) {
  fprintf(stderr, "%s: %s\n", flexgemm_status_name(status), flexgemm_last_error_message());
  return status == FLEXGEMM_NO_DEVICE ? 4 : 1;
}

static int run(flexgemm_device_kind device, frame* scene, float* const weights[2], float* result) {
  heap memory = {0, 0};
  flexgemm_allocator functions = {0};
  plugin self;
  int64_t pairs = 0;
  double error;
  char description[128];
  flexgemm_status status;
  functions.struct_size = sizeof functions;
  functions.allocate = heap_allocate;
  functions.deallocate = heap_deallocate;
  functions.user_data = &memory;
  status = flexgemm_set_log_callback(engine_log, "  log: ", FLEXGEMM_LOG_LAUNCH);
  if (status != FLEXGEMM_OK) return failed(status);
  /* The engine's heap is host memory: on a GPU the library uses its own. */
  status = plugin_start(&self, device, device == FLEXGEMM_DEVICE_CPU ? &functions : NULL, weights);
  if (status != FLEXGEMM_OK) return failed(status);
  status = flexgemm_context_get_description(self.context, description, sizeof description, NULL);
  if (status == FLEXGEMM_OK) printf("device: %s\n", description);
  if (status == FLEXGEMM_OK) status = plugin_frame(&self, scene, result, &pairs);
  plugin_stop(&self);
  flexgemm_set_log_callback(NULL, NULL, 0);
  if (status != FLEXGEMM_OK) return failed(status);
  error = squared_error(scene, weights, result);
  printf("%ld voxels, %ld pairs, %ld blocks of the engine's heap taken, %ld kept\n", (long)scene->count,
         (long)pairs, memory.taken, memory.blocks);
  /* Two layers in float: each within 1e-6 of the exact result. */
  printf("result checked: %s\n",
         error >= 0 && error < 4e-12 && memory.blocks == 0 ? "yes" : "NO, IT IS WRONG");
  return error >= 0 && error < 4e-12 && memory.blocks == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  const flexgemm_device_kind device =
      argc > 1 && strcmp(argv[1], "cuda") == 0 ? FLEXGEMM_DEVICE_CUDA : FLEXGEMM_DEVICE_CPU;
  frame scene = {0, NULL, NULL, {0, 0, 0}};
  float* weights[2];
  float* result = NULL;
  uint32_t random = 2;
  int64_t i;
  int layer, code = 1;
  for (layer = 0; layer < 2; ++layer) {
    weights[layer] = (float*)malloc((size_t)weight_count(layer) * sizeof(float));
    for (i = 0; weights[layer] != NULL && i < weight_count(layer); ++i)
      weights[layer][i] = 0.1f * next_random(&random);
  }
  if (weights[0] != NULL && weights[1] != NULL && load_voxels(&scene, argc > 2 ? argv[2] : NULL) &&
      prepare_frame(&scene)) {
    result = (float*)malloc((size_t)scene.count * channels_out * sizeof(float));
    if (result != NULL) code = run(device, &scene, weights, result);
  }
  free(result);
  free(weights[0]);
  free(weights[1]);
  free(scene.voxels);
  free(scene.features);
  return code;
}
