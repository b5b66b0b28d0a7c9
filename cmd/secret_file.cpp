#include "cmd/secret_file.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

#include <iostream>
#include <iterator>

namespace kubestrap::cmd {

Secret secretFrom(const std::string& fileName, Machine& machine) {
  if (fileName == "-") {
    const std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
    return Secret(std::string(trim(text)));
  }
  const auto text = machine.host().read(std::filesystem::absolute(fileName));
  if (!text) throw Error(fmt::format("there is no file {}", fileName), {}, ExitCode::usage);
  return Secret(std::string(trim(*text)));
}

} // namespace kubestrap::cmd
