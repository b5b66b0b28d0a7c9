#include "manifests/messages.hpp"

#include "manifests/text.hpp"
#include "support/text.hpp"

namespace kubestrap::manifests {

namespace {
constexpr std::string_view nextLine = " \\\n  ";
}

std::string initDoneMessage(const config::Setup& setup) {
  return filledText(
      "init-done.txt",
      {{"cluster", setup.cluster.name}, {"node", setup.node.name}, {"adminConf", config::paths::adminConf.string()}});
}

std::string joinDoneMessage(const config::Setup& setup) {
  return filledText("join-done.txt", {{"cluster", setup.cluster.name},
                                      {"node", setup.node.name},
                                      {"role", setup.node.controlPlane ? "control plane" : "worker"}});
}

std::string text(const JoinCommand& command) {
  constexpr std::string_view hidden = "<value withheld>";
  auto shown = [&](const Secret& secret) { return secret.empty() ? std::string(hidden) : secret.reveal(); };
  std::string line = "kubestrap join " + command.endpoint.string() + " --token " + shown(command.token);
  for (const std::string& pin : command.pins) (line += nextLine) += "--discovery-token-ca-cert-hash " + pin;
  if (command.controlPlane) {
    (line += nextLine) += "--control-plane";
    if (!command.certificateKey.empty()) line += " --certificate-key " + command.certificateKey.reveal();
  }
  return line + "\n";
}

std::string onOneLine(std::string_view command) { return replaceAll(std::string(trim(command)), nextLine, " "); }

} // namespace kubestrap::manifests
