#pragma once

#include "cmd/machine.hpp"
#include "config/paths.hpp"
#include "etcd/client.hpp"
#include "host/image_program.hpp"

#include <cstdint>
#include <string>

namespace kubestrap::cmd {

/// etcd on this machine, as its static pod's manifest says.
struct LocalEtcd {
  std::string name, peerUrl, image;
  config::Path dataDir, authority;
  std::string socket; ///< of the runtime
};
/// Throws Error where there is none.
LocalEtcd localEtcd(Machine& machine);

/// A snapshot on the disk while it is needed: readable for root alone, as etcd's own data is.
struct ScratchSnapshot {
  std::filesystem::path path;
  ~ScratchSnapshot() {
    std::error_code none;
    std::filesystem::remove(path, none);
  }
};

/// What a snapshot holds, as etcdutl says.
struct SnapshotFacts {
  std::int64_t revision = 0, keys = 0, size = 0;
};

/// Asks a member for its database and writes it to a file, which is there only when the digest that etcd sends with it is right.
void saveSnapshot(etcd::Client& client, const std::string& endpoint, const std::filesystem::path& file);
/// Throws Error for what is no snapshot, or a damaged one.
SnapshotFacts checkSnapshot(const std::filesystem::path& file, const LocalEtcd& etcd, Machine& machine);

enum class Revisions {
  asTheyWere,
  raised ///< above all that clients may have seen, who then look at everything anew
};
/// Makes a data folder of a snapshot, for a cluster of one member.
void restoreSnapshot(const std::filesystem::path& file, const std::filesystem::path& folder, Revisions revisions, const LocalEtcd& etcd, Machine& machine);
/// Restores it into a scratch folder, lets an etcd begin with that, and counts what Kubernetes has in it. Throws Error where that fails.
std::int64_t proveSnapshot(const std::filesystem::path& file, const LocalEtcd& etcd, Machine& machine);

} // namespace kubestrap::cmd
