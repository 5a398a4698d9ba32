// Writes the small sound files of the reader tests into DIRECTORY/FORMAT/: seeds for the fuzzers.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "scene/scan_files.hpp"

int main(int argument_count, char** arguments) {
  if (argument_count != 2) {
    std::cerr << "usage: write_corpus DIRECTORY\n";
    return 2;
  }
  for (const scan_files::NamedFile& file : scan_files::sound_files()) {
    const std::filesystem::path name(file.name);
    const std::filesystem::path folder =
        std::filesystem::path(arguments[1]) / name.extension().string().substr(1);
    std::filesystem::create_directories(folder);
    std::ofstream output(folder / name, std::ios::binary);
    output.write(reinterpret_cast<const char*>(file.bytes.data()),
                 static_cast<std::streamsize>(file.bytes.size()));
    if (!output.flush()) {
      std::cerr << "cannot write " << folder / name << '\n';
      return 1;
    }
  }
  const std::filesystem::path folder = std::filesystem::path(arguments[1]) / "expression";
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const char* text :
       {"relu((acc+bias)*scale+shift+residual)", "acc < 0 ? -acc : fma(acc, 2.5e-1f, channel)",
        "leaky_relu(min(acc,max(bias,1)),.1)", "gelu(acc)*sigmoid(-residual)/sqrt(abs(acc))"}) {
    std::ofstream(folder / std::to_string(number++)) << text;
  }
  return 0;
}
