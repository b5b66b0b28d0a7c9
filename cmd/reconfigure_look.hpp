#pragma once
// What a reconfiguration sees of the files of a control plane: here, and on other nodes by what they report.

#include "cmd/machine.hpp"
#include "phases/reconfigure.hpp"
#include "plan/run.hpp"

#include <string>
#include <vector>

namespace kubestrap::cmd {

/// One control plane, with what would be changed there.
struct FilesSeen {
  phases::reconfigure::NodeSeen node;
  plan::Outcome changes;
};

/// This machine.
FilesSeen lookAtFiles(const config::Setup& setup, const std::vector<std::string>& goingNames, plan::World& world, plan::Reporter& reporter);
/// The keys of this machine; nothing: it has none.
std::optional<phases::encryption::Keys> keysHere(const config::Cluster& cluster, host::Host& host);

/// For the log of a pod, and back. Throws Error for a log that holds no report.
std::string reportOf(const FilesSeen& seen);
FilesSeen parseFilesReport(const std::string& node, const std::string& log);

} // namespace kubestrap::cmd
