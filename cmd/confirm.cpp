#include "cmd/confirm.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <iostream>
#include <string>

namespace kubestrap::cmd {

void confirmOrEnd() {
  fmt::print(stderr, "Go on? [y/N]: ");
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  if (const auto said = lower(trim(answer)); said != "y" && said != "yes")
    throw Error("nothing was done: it was not confirmed", "answer y, or give --yes");
}

} // namespace kubestrap::cmd
