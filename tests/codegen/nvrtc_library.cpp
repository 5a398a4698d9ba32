#include "nvrtc_library.hpp"

#include <array>
#include <cstdlib>

#include <dlfcn.h>

namespace flexgemm::test {

namespace {

std::vector<std::string> library_names() {
  std::vector<std::string> names{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  if (const char* toolkit = std::getenv("CUDA_PATH"))
    names.push_back(std::string(toolkit) + "/lib64/libnvrtc.so");
  names.emplace_back("/usr/local/cuda/lib64/libnvrtc.so");
  return names;
}

}  // namespace

std::optional<NvrtcLibrary> NvrtcLibrary::open(std::string& looked_for) {
  void* handle = nullptr;
  for (const std::string& name : library_names()) {
    looked_for += (looked_for.empty() ? "" : ", ") + name;
    handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) break;
  }
  if (handle == nullptr) return {};
  NvrtcLibrary library;
  const auto load = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    return function != nullptr;
  };
  if (load(library.create_, "nvrtcCreateProgram") && load(library.destroy_, "nvrtcDestroyProgram") &&
      load(library.compile_, "nvrtcCompileProgram") && load(library.log_size_, "nvrtcGetProgramLogSize") &&
      load(library.log_, "nvrtcGetProgramLog")) {
    return library;
  }
  return {};
}

NvrtcLibrary::Result NvrtcLibrary::compile(const std::string& source,
                                           const std::vector<std::string>& options) const {
  std::vector<const char*> arguments;
  for (const std::string& option : options) arguments.push_back(option.c_str());
  Program program = nullptr;
  Result result;
  if (create_(&program, source.c_str(), "kernel.cu", 0, nullptr, nullptr) != 0) return result;
  result.compiled = compile_(program, static_cast<int>(arguments.size()), arguments.data()) == 0;
  std::size_t size = 0;
  if (log_size_(program, &size) == 0 && size > 1) {
    result.log.resize(size);
    log_(program, result.log.data());
    result.log.resize(size - 1);
  }
  destroy_(&program);
  return result;
}

}  // namespace flexgemm::test
