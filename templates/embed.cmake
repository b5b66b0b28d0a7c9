# cmake -D TEXTS="a;b" -D FOLDER=... -D OUTPUT=... -P embed.cmake
#   Writes OUTPUT: one array of bytes for each text and the table of them that templates.cpp reads.
set(arrays "")
set(rows "")
set(count 0)
foreach(text IN LISTS TEXTS)
  file(READ ${FOLDER}/${text} bytes HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
  string(APPEND arrays "constexpr char text${count}[] = {\n    ${bytes}};\n")
  string(APPEND rows "    {\"${text}\", {text${count}, sizeof text${count}}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"templates/table.hpp\"

namespace kubestrap::templates {
namespace {
${arrays}constexpr Text table[] = {
${rows}};
} // namespace

std::span<const Text> texts() { return table; }

} // namespace kubestrap::templates
")
