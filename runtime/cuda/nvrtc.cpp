#include "cuda/nvrtc.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>

#include <dlfcn.h>
#include <nvrtc.h>
#include <unistd.h>

#include "core/environment.hpp"
#include "core/fail.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

namespace {

// Every NVRTC function that the library calls.
#define FLEXGEMM_NVRTC_FUNCTIONS(X) \
  X(nvrtcGetErrorString)            \
  X(nvrtcVersion)                   \
  X(nvrtcGetNumSupportedArchs)      \
  X(nvrtcGetSupportedArchs)         \
  X(nvrtcCreateProgram)             \
  X(nvrtcDestroyProgram)            \
  X(nvrtcCompileProgram)            \
  X(nvrtcGetProgramLogSize)         \
  X(nvrtcGetProgramLog)             \
  X(nvrtcGetCUBINSize)              \
  X(nvrtcGetCUBIN)                  \
  X(nvrtcGetPTXSize)                \
  X(nvrtcGetPTX)

struct Nvrtc {
#define FLEXGEMM_NVRTC_MEMBER(function) decltype(&::function) function = nullptr;
  FLEXGEMM_NVRTC_FUNCTIONS(FLEXGEMM_NVRTC_MEMBER)
#undef FLEXGEMM_NVRTC_MEMBER
  std::vector<int> architectures;  // such as 90, ascending
  std::string version;
  int number = 0;  ///< 1,000 * major + 10 * minor
  std::string problem;
};

constexpr std::array library_names{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};

/// Folders to try after the loader's own search path.
std::vector<std::string> toolkit_folders() {
  std::vector<std::string> folders;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const auto home = environment_variable(variable)) {
      for (const char* inside : {"/lib64", "/lib"}) folders.push_back(*home + inside);
    }
  }
  folders.emplace_back("/usr/local/cuda/lib64");
  return folders;
}

void* open_library(std::string& looked) {
  for (const char* name : library_names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
  }
  looked = "where the loader looks";
  for (const std::string& folder : toolkit_folders()) {
    looked += ", in " + folder;
    for (const char* name : library_names) {
      const std::string path = folder + "/" + name;
      if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
    }
  }
  return nullptr;
}

const char* find_functions(void* library, Nvrtc& table) {
#define FLEXGEMM_NVRTC_FIND(function)                                                     \
  table.function = reinterpret_cast<decltype(table.function)>(dlsym(library, #function)); \
  if (table.function == nullptr) return #function;
  FLEXGEMM_NVRTC_FUNCTIONS(FLEXGEMM_NVRTC_FIND)
#undef FLEXGEMM_NVRTC_FIND
  return nullptr;
}

std::string load_nvrtc(Nvrtc& table) {
  std::string looked;
  void* library = open_library(looked);
  if (library == nullptr) {
    return fmt::format(
        "the CUDA kernel compiler NVRTC was not found (looked for {}, {} and {} {}); install it "
        "(package cuda-nvrtc of a CUDA toolkit 12 or newer) or set CUDA_HOME to the toolkit",
        library_names[0], library_names[1], library_names[2], looked);
  }
  if (const char* missing = find_functions(library, table); missing != nullptr) {
    return fmt::format(
        "the CUDA kernel compiler NVRTC is too old: it lacks {}; install that of a CUDA toolkit 12 "
        "or newer",
        missing);
  }
  int major = 0;
  int minor = 0;
  table.nvrtcVersion(&major, &minor);
  table.version = fmt::format("{}.{}", major, minor);
  table.number = major * 1000 + minor * 10;
  if (major < 12) {
    return fmt::format(
        "the CUDA kernel compiler NVRTC {}.{} is too old; install that of a CUDA toolkit 12 or newer", major,
        minor);
  }
  int count = 0;
  if (table.nvrtcGetNumSupportedArchs(&count) == NVRTC_SUCCESS && count > 0) {
    table.architectures.resize(static_cast<std::size_t>(count));
    table.nvrtcGetSupportedArchs(table.architectures.data());
    std::sort(table.architectures.begin(), table.architectures.end());
  }
  if (table.architectures.empty())
    return "the CUDA kernel compiler NVRTC names no architecture that it supports";
  return {};
}

const Nvrtc& loaded_nvrtc() {
  static const Nvrtc loaded = [] {
    Nvrtc table;
    table.problem = load_nvrtc(table);
    return table;
  }();
  return loaded;
}

void check_nvrtc(const Nvrtc& api, nvrtcResult result, const char* call, const std::string& name) {
  if (result != NVRTC_SUCCESS) {
    fail(ErrorCode::compile, "{} failed for the kernel {}: {}", call, name, api.nvrtcGetErrorString(result));
  }
}

/// An NVRTC program, destroyed with its scope.
struct Program {
  const Nvrtc& api;
  nvrtcProgram handle = nullptr;
  ~Program() {
    if (handle != nullptr) api.nvrtcDestroyProgram(&handle);
  }
};

/// A cubin for the architecture with a report from ptxas; or, for an architecture that NVRTC does not know,
/// the newest PTX that serves it.
std::vector<std::string> options_for(const Nvrtc& api, const codegen::Architecture& architecture,
                                     bool& is_ptx) {
  const auto above =
      std::upper_bound(api.architectures.begin(), api.architectures.end(), architecture.number());
  const int newest = above == api.architectures.begin() ? architecture.number() : *(above - 1);
  is_ptx = newest != architecture.number();
  std::vector<std::string> options{"--std=c++20"};
  if (is_ptx) {
    options.push_back(fmt::format("--gpu-architecture=compute_{}", newest));
  } else {
    options.push_back("--gpu-architecture=" + codegen::to_string(architecture));
    options.emplace_back("--ptxas-options=-v");
  }
  // What NVRTC takes from the driver's cache comes without ptxas' report; kernels have a cache of their own.
  if (api.number >= 12090) options.emplace_back("--no-cache");
  return options;
}

std::string program_log(const Nvrtc& api, nvrtcProgram program) {
  std::size_t size = 0;
  if (api.nvrtcGetProgramLogSize(program, &size) != NVRTC_SUCCESS || size <= 1) return {};
  std::string log(size, '\0');
  if (api.nvrtcGetProgramLog(program, log.data()) != NVRTC_SUCCESS) return {};
  log.resize(size - 1);
  return log;
}

/// Where a rejected source can be read: a file of its own when somebody listens, else how to print it.
std::string source_location(const std::string& source, const std::string& name) {
  const std::string advice = fmt::format("print its source with: flexgemm-tune emit --spec {}", name);
  if (verbosity() < 1) return advice + ", or set FLEXGEMM_VERBOSE=1 to have it written to a file";
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) return advice;
  std::string path = (folder / "flexgemm-rejected-XXXXXX.cu").string();
  const int file = mkstemps(path.data(), 3);
  if (file < 0) return advice;
  close(file);
  std::ofstream(path, std::ios::binary) << source;
  return "its source is in " + path;
}

}  // namespace

const std::string& nvrtc_problem() { return loaded_nvrtc().problem; }

const std::string& nvrtc_version() { return loaded_nvrtc().version; }

const std::vector<int>& nvrtc_architectures() { return loaded_nvrtc().architectures; }

CompiledKernel compile_source(const std::string& source, const std::string& name,
                              const codegen::Architecture& architecture) {
  const Nvrtc& api = loaded_nvrtc();
  if (!api.problem.empty()) {
    fail(ErrorCode::compile, "the kernel {} must be compiled, but {}", name, api.problem);
  }
  CompiledKernel compiled;
  const std::vector<std::string> options = options_for(api, architecture, compiled.is_ptx);
  std::vector<const char*> texts;
  for (const std::string& option : options) texts.push_back(option.c_str());
  Program program{api};
  check_nvrtc(
      api,
      api.nvrtcCreateProgram(&program.handle, source.c_str(), (name + ".cu").c_str(), 0, nullptr, nullptr),
      "nvrtcCreateProgram", name);
  const nvrtcResult result =
      api.nvrtcCompileProgram(program.handle, static_cast<int>(texts.size()), texts.data());
  compiled.log = program_log(api, program.handle);
  if (result != NVRTC_SUCCESS) {
    fail(ErrorCode::compile, "NVRTC rejected the kernel {} ({}): {}. Its log:\n{}", name,
         api.nvrtcGetErrorString(result), source_location(source, name), compiled.log);
  }
  std::size_t bytes = 0;
  if (compiled.is_ptx) {
    check_nvrtc(api, api.nvrtcGetPTXSize(program.handle, &bytes), "nvrtcGetPTXSize", name);
    compiled.image.resize(bytes);
    check_nvrtc(api, api.nvrtcGetPTX(program.handle, compiled.image.data()), "nvrtcGetPTX", name);
  } else {
    check_nvrtc(api, api.nvrtcGetCUBINSize(program.handle, &bytes), "nvrtcGetCUBINSize", name);
    compiled.image.resize(bytes);
    check_nvrtc(api, api.nvrtcGetCUBIN(program.handle, compiled.image.data()), "nvrtcGetCUBIN", name);
  }
  return compiled;
}

int reported(const std::string& log, const std::string& what) {
  const std::size_t word = log.find(" " + what);
  if (word == std::string::npos) return -1;
  std::size_t begin = word;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(log[begin - 1])) != 0) --begin;
  return begin == word ? -1 : std::stoi(log.substr(begin, word - begin));
}

}  // namespace flexgemm::detail
