#include "cmd/confirm.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <iostream>
#include <string>

#include <poll.h>
#include <unistd.h>

namespace kubestrap::cmd {

void confirmOrEnd() {
  fmt::print(stderr, "Go on? [y/N]: ");
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  if (const auto said = lower(trim(answer)); said != "y" && said != "yes")
    throw Error("nothing was done: it was not confirmed", "answer y, or give --yes");
}

bool canBeAsked() { return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1; }

std::optional<bool> answered() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (poll(&input, 1, 0) <= 0) return std::nullopt;
  std::string answer;
  if (!std::getline(std::cin, answer)) throw Error("nobody answers any more: standard input has ended", "run the command again: it goes on from here");
  const auto said = lower(trim(answer));
  if (said == "y" || said == "yes") return true;
  if (said == "n" || said == "no") return false;
  fmt::print(stderr, "\ny or n\n");
  return std::nullopt;
}

} // namespace kubestrap::cmd
