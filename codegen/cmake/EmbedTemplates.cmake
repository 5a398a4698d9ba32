# cmake -DROOT=templates -DFILES="a.cuh;mma/b.cuh" -DOUTPUT=embedded_templates.cpp -P EmbedTemplates.cmake
# Writes the files as string literals, cut at line ends because some compilers limit a literal to 64 KB.
set(piece_bytes 12000)
set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS FILES)
  file(READ "${ROOT}/${file}" text)
  string(FIND "${text}" ")FLEXGEMM\"" delimiter)
  if(NOT delimiter EQUAL -1)
    message(FATAL_ERROR "${file} holds the delimiter of the literals that embed it: )FLEXGEMM\"")
  endif()
  string(LENGTH "${text}" bytes)
  set(pieces "")
  set(begin 0)
  while(begin LESS bytes)
    string(SUBSTRING "${text}" ${begin} ${piece_bytes} piece)
    string(FIND "${piece}" "\n" line_end REVERSE)
    if(line_end EQUAL -1)
      message(FATAL_ERROR "${file} has no line end within ${piece_bytes} bytes of byte ${begin}")
    endif()
    math(EXPR length "${line_end} + 1")
    string(SUBSTRING "${piece}" 0 ${length} piece)
    string(APPEND pieces "    R\"FLEXGEMM(${piece})FLEXGEMM\",\n")
    math(EXPR begin "${begin} + ${length}")
  endwhile()
  string(APPEND arrays "constexpr std::string_view pieces_${index}[] = {\n${pieces}};\n")
  string(APPEND entries "    {\"${file}\", pieces_${index}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUTPUT}" "// Written by EmbedTemplates.cmake from templates/.
#include \"embedded_templates.hpp\"

namespace flexgemm::codegen {
namespace {

${arrays}
constexpr EmbeddedTemplate templates[] = {
${entries}};

}  // namespace

std::span<const EmbeddedTemplate> embedded_templates() { return templates; }

}  // namespace flexgemm::codegen
")
