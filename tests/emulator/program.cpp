#include <cstdlib>
#include <fstream>
#include <sstream>

#include <dlfcn.h>
#include <sys/wait.h>

#include "codegen/emit.hpp"
#include "emulator/machine.hpp"

namespace flexgemm::emulator {

namespace {

/// The kernel's own part of an emitted source: its Config and its entry.
std::string config_and_entry(const codegen::KernelSpec& spec) {
  const std::string source = codegen::emit(spec);
  const std::size_t begin = source.find("struct Config {");
  if (begin == std::string::npos) throw std::runtime_error("no Config in the source of " + to_string(spec));
  return source.substr(begin);
}

std::string host_source(const codegen::KernelSpec& spec) {
  std::ostringstream text;
  text << "// " << to_string(spec) << "\n"
       << "#include \"cuda_language.hpp\"\n"
       << "#define __CUDA_ARCH__ " << spec.architecture.number() * 10 << "\n"
       << "namespace flexgemm {\n__shared__ __align__(1024) unsigned char shared[" << Program::shared_capacity
       << "];\n}\n"
       << "#include \"kernels/" << name(spec.kind) << ".cuh\"\n"
       << config_and_entry(spec)
       << "template <class Parameters>\n"
          "static void call(void (*kernel)(const Parameters), const void* parameters) {\n"
          "  kernel(*static_cast<const Parameters*>(parameters));\n}\n"
          "extern \"C\" __attribute__((visibility(\"default\"))) void emulated_entry(const void* parameters) "
          "{\n"
          "  call(flexgemm_kernel, parameters);\n}\n"
          "extern \"C\" __attribute__((visibility(\"default\"))) unsigned char* emulated_shared() {\n"
          "  return flexgemm::shared;\n}\n";
  return text.str();
}

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

template <class Function>
Function* symbol(void* library, const char* symbol_name) {
  void* address = dlsym(library, symbol_name);
  if (address == nullptr) throw std::runtime_error(std::string("an emulated kernel lacks ") + symbol_name);
  return reinterpret_cast<Function*>(address);
}

}  // namespace

Program::Program(const codegen::KernelSpec& spec, const Workshop& workshop, int resident_blocks) {
  const std::filesystem::path& folder = workshop.folder;
  // A name of its own: a library that the loader keeps would be found again under an old name.
  static int programs = 0;
  const std::string stem = "kernel" + std::to_string(programs++);
  const std::filesystem::path source = folder / (stem + ".cpp");
  const std::filesystem::path library = folder / (stem + ".so");
  const std::filesystem::path log = folder / "compiler.log";
  std::ofstream(source) << host_source(spec);
  const std::string command =
      std::string("'") + FLEXGEMM_EMULATOR_COMPILER +
      "' -std=c++20 -O1 -fno-strict-aliasing -ffp-contract=off -fPIC -shared -w -fsanitize=alignment "
      "-fno-sanitize-recover=alignment " FLEXGEMM_EMULATOR_FLAGS " -I '" +
      FLEXGEMM_EMULATOR_DEVICE + "' -I '" + workshop.templates.string() + "' -o '" + library.string() +
      "' '" + source.string() + "' > '" + log.string() + "' 2>&1";
  if (std::system(command.c_str()) != 0)
    throw std::runtime_error("the host compiler refuses " + to_string(spec) + ":\n" + contents(log));
  for (int i = 0; i < resident_blocks; ++i) {
    // Every copy of the file has its own shared memory.
    const std::filesystem::path copy = folder / (stem + "-" + std::to_string(i) + ".so");
    std::filesystem::copy_file(library, copy);
    void* handle = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
    std::filesystem::remove(copy);
    if (handle == nullptr)
      throw std::runtime_error(std::string("an emulated kernel does not load: ") + dlerror());
    instances_.push_back({handle, symbol<void(const void*)>(handle, "emulated_entry"),
                          symbol<unsigned char*()>(handle, "emulated_shared")()});
    if (reinterpret_cast<std::uintptr_t>(instances_.back().shared) % 1024 != 0)
      throw std::runtime_error("the shared memory of an emulated kernel is not aligned");
  }
  std::filesystem::remove(library);
}

Program::~Program() {
  for (const Instance& instance : instances_) dlclose(instance.library);
}

}  // namespace flexgemm::emulator
