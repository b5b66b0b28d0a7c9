#pragma once

#include "config/model.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::manifests {

/// What `init` says at its end, without the join commands.
std::string initDoneMessage(const config::Setup& setup);

/// What `join` says at its end.
std::string joinDoneMessage(const config::Setup& setup);

/// What another machine needs to know to join.
struct JoinCommand {
  config::Endpoint endpoint;
  Secret token;                  ///< empty: not to be printed
  std::vector<std::string> pins; ///< "sha256:..." of the cluster's CA certificates
  bool controlPlane = false;
  Secret certificateKey; ///< for control planes; empty: the files are copied by hand
};

/// The command to run there as root (kubeadm's join takes the same arguments), in lines of a shell:
/// "kubestrap join HOST:PORT --token T \", "  --discovery-token-ca-cert-hash H", "  --control-plane --certificate-key
/// K". Secrets are in it: it goes to the operator's terminal, never into a log.
std::string text(const JoinCommand& command);

/// Such a command without its line breaks and the last one: for programs, to which a backslash would be a word of the command.
std::string onOneLine(std::string_view command);

} // namespace kubestrap::manifests
