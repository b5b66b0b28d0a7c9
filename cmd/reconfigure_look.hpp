#pragma once
// What a reconfiguration sees of the files of a control plane: here, and on other nodes by what they report.

#include "cmd/machine.hpp"
#include "kube/client.hpp"
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
/// What this machine's API server encrypts and decrypts by; nothing: there is no key, or it is the operator's own.
std::optional<phases::encryption::Keys> keysHere(const config::Cluster& cluster, host::Host& host);

/// Throws Error (refused) where encryption comes or goes and has not come to its end: `what` would build API servers of what the cluster keeps of its
/// configuration, and these could not read what lies encrypted.
void refuseWhileEncryptionMoves(const config::Cluster& stored, host::Host& host, std::string_view what);
/// The same on a machine that is to be a control plane, and to get the keys.
void refuseLeftKeys(const config::Cluster& stored, host::Host& host, std::string_view what);
/// Whether control planes that join have to wait for the end of a reconfiguration.
bool joinsWait(kube::Client& client);
/// The same on a machine that is to be a control plane, which has no keys by which it could be seen.
void refuseWhileJoinsWait(kube::Client& client);

/// For the log of a pod, and back. Throws Error for a log that holds no report.
std::string reportOf(const FilesSeen& seen);
FilesSeen parseFilesReport(const std::string& node, const std::string& log);

} // namespace kubestrap::cmd
