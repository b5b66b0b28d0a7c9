#include "host/image_program.hpp"

#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::host {

namespace {

Command ctr(const ImageProgram& program, std::vector<std::string> words) {
  constexpr std::string_view scheme = "unix://";
  if (program.socket.find("containerd") == std::string::npos)
    throw Error(fmt::format("{} cannot be run out of {}: the runtime at {} has no loader that kubestrap knows", program.command.front(), program.image, program.socket),
                "run it by hand, from a package or in a container of your own");
  const auto address = program.socket.starts_with(scheme) ? program.socket.substr(scheme.size()) : program.socket;
  std::vector<std::string> all{"--address", address, "--namespace", "k8s.io"};
  for (auto& word : words) all.push_back(std::move(word));
  return {.program = "ctr", .arguments = std::move(all), .input = {}, .timeout = program.timeout};
}

std::string run(const ImageProgram& program, const std::vector<std::string>& how, Host& host) {
  endInImage(program, host);
  std::vector<std::string> words{"run"};
  for (const auto& word : how) words.push_back(word);
  if (program.network == ImageProgram::Network::machine) words.emplace_back("--net-host");
  for (const auto& mount : program.mounts) {
    words.emplace_back("--mount");
    words.push_back(fmt::format("type=bind,src={},dst={},options=rbind:{}", mount.from.string(), mount.to.string(),
                                mount.access == ImageProgram::Mount::Access::write ? "rw" : "ro"));
  }
  words.push_back(program.image);
  words.push_back(program.name);
  for (const auto& word : program.command) words.push_back(word);
  const auto result = host.run(ctr(program, std::move(words)));
  if (!result.timedOut && result.exitCode == 0) return result.output;
  endInImage(program, host);
  const auto said = trim(result.errors.empty() ? result.output : result.errors);
  throw Error(fmt::format("{} {}: {}", program.command.front(), result.timedOut ? "did not end in time" : fmt::format("ended with code {}", result.exitCode), said),
              fmt::format("is {} in the runtime? ctr -n k8s.io images ls", program.image));
}

} // namespace

std::string runInImage(const ImageProgram& program, Host& host) { return run(program, {"--rm"}, host); }

void startInImage(const ImageProgram& program, Host& host) { run(program, {"--detach"}, host); }

void endInImage(const ImageProgram& program, Host& host) {
  if (const auto known = host.run(ctr(program, {"containers", "ls", "-q"})); (known.output + "\n").find(program.name + "\n") == std::string::npos) return;
  host.run(ctr(program, {"tasks", "kill", "--signal", "SIGKILL", program.name}));
  host.run(ctr(program, {"tasks", "rm", "--force", program.name}));
  host.run(ctr(program, {"containers", "rm", program.name}));
}

} // namespace kubestrap::host
