#include "cmd/kubelet_install.hpp"

#include "host/facts.hpp"
#include "support/error.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

namespace {

constexpr auto patience = std::chrono::minutes(10);

/// Its failure is told in its own words, the last of them.
void runCommand(const std::string& command, host::Host& host) {
  const auto result = host.run({.program = "sh", .arguments = {"-c", command}, .input = {}, .timeout = patience});
  if (result.timedOut) throw Error(fmt::format("{} did not end within ten minutes", command), "run it on the worker by hand");
  if (result.exitCode == 0) return;
  throw Error(fmt::format("{} ended with code {}: {}", command, result.exitCode, lastLine(result.errors.empty() ? result.output : result.errors)), "it was run as root, on the worker");
}

} // namespace

std::string versionOf(const host::Path& program, host::Host& host) {
  const auto said = host.run({.program = program.string(), .arguments = {"--version"}, .input = {}});
  return said.exitCode == 0 && !said.timedOut ? host::parseKubeletVersion(said.output) : "";
}

std::string isNot(const host::Path& program, const std::string& found, const std::string& wanted) {
  return fmt::format("{} is {}, and not {}", program.string(), found.empty() ? "no kubelet" : found, wanted);
}

void makeNewerThanProcess(const KubeletWish& wish, host::Host& host) {
  if (wish.running == wish.version) return;
  // Of a symbolic link the service looks at the time of the link.
  if (const auto touched = host.run({.program = "touch", .arguments = {"--no-dereference", "--no-create", wish.program.string()}, .input = {}}); touched.exitCode != 0)
    throw Error(fmt::format("{} cannot be written: {}", wish.program.string(), trim(touched.errors)));
}

void installKubelet(const KubeletWish& wish, host::Host& host) {
  auto found = versionOf(wish.program, host);
  if (found != wish.version) {
    if (wish.command.empty())
      throw Error(isNot(wish.program, found, wish.version),
                  "name what puts it there: a file with --kubelet, a bundle with --bundle, or a command of your packages with --install");
    log::info(0, "{}", wish.command);
    runCommand(wish.command, host);
    found = versionOf(wish.program, host);
    if (found != wish.version)
      throw Error(fmt::format("after {} {}", wish.command, isNot(wish.program, found, wish.version)),
                  "name the version in the command; has its package source this minor version?");
  }
  makeNewerThanProcess(wish, host);
}

} // namespace kubestrap::cmd
