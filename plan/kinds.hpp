#pragma once
// One pair of functions for each kind of resource: what differs, and make it so. Only the engine includes this.

#include "certs/key.hpp"
#include "kube/kubeconfig.hpp"
#include "plan/change.hpp"
#include "plan/journal.hpp"
#include "plan/report.hpp"
#include "plan/resource.hpp"
#include "plan/world.hpp"

#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <vector>

namespace kubestrap::plan {

/// Private keys made ahead of their use, so that slow ones (RSA) are made side by side.
class KeyPool {
public:
  void fill(const std::vector<certs::KeyAlgorithm>& algorithms);
  certs::PrivateKey take(certs::KeyAlgorithm algorithm); ///< makes one when none is left

private:
  std::vector<std::pair<certs::KeyAlgorithm, certs::PrivateKey>> keys_;
};

/// Kubeconfigs as they were read last: a hundred looks at the cluster go by the same few.
class Kubeconfigs {
public:
  /// Parses the file unless it is as it was; nullptr when it is absent.
  const kube::Kubeconfig* read(const Path& path, host::Host& host);

private:
  struct Parsed {
    std::string seen;
    kube::Kubeconfig kubeconfig;
  };
  std::map<Path, Parsed> parsed_;
};

/// What a pair needs beside the resource.
struct Context {
  World& world;
  bool applying = false;     ///< false: look only, and never wait for the cluster to answer
  Duration apiPatience{};    ///< for an API server that does not answer, or answers with 5xx or 429
  std::string_view phase;
  Reporter* reporter = nullptr;
  KeyPool* keys = nullptr;
  Kubeconfigs* kubeconfigs = nullptr;
  std::set<Path>* wouldWrite = nullptr; ///< when only looking: the files that the plan has written so far
};

Change diff(const File& wanted, const Context& context);
Change diff(const Folder& wanted, const Context& context);
Change diff(const Absent& wanted, const Context& context);
Change diff(const Certificate& wanted, const Context& context);
Change diff(const KeyPair& wanted, const Context& context);
Change diff(const Kubeconfig& wanted, const Context& context);
Change diff(const Service& wanted, const Context& context);
Change diff(const Object& wanted, const Context& context);
Change diff(const Condition& wanted, const Context& context);
Change diff(const Task& wanted, const Context& context);
Change diff(const Resource& wanted, const Context& context);

/// What enacting will touch, for the journal: the folders that have to be made on the way as well, before what lies in them.
std::vector<Intent> intents(const Resource& wanted, const Change& change, const Context& context);

/// Adds an intent; a folder that is among them already is made once only.
void add(std::vector<Intent>& intents, Intent intent);

void enact(const File& wanted, const Change& change, const Context& context);
void enact(const Folder& wanted, const Change& change, const Context& context);
void enact(const Absent& wanted, const Change& change, const Context& context);
void enact(const Certificate& wanted, const Change& change, const Context& context);
void enact(const KeyPair& wanted, const Change& change, const Context& context);
void enact(const Kubeconfig& wanted, const Change& change, const Context& context);
void enact(const Service& wanted, const Change& change, const Context& context);
void enact(const Object& wanted, const Change& change, const Context& context);
void enact(const Condition& wanted, const Change& change, const Context& context);
void enact(const Task& wanted, const Change& change, const Context& context);
void enact(const Resource& wanted, const Change& change, const Context& context);

/// Where the kernel shows a sysctl: "net.ipv4.ip_forward" is /proc/sys/net/ipv4/ip_forward.
Path sysctlFile(std::string_view name);
/// Names in /proc/swaps.
std::vector<std::string> activeSwaps(host::Host& host);

/// Asks an API server until it answers, fails for good, or patience is over. Looks again after no answer, 429 and 5xx, and for up to
/// ten seconds after Forbidden (rights that were just granted take a moment to be seen).
void withPatience(const Context& context, std::string_view what, const std::function<void()>& call);

/// "absent" or the first 16 hex digits of the content's SHA-256.
std::string fingerprint(const std::optional<std::string>& content);

/// The fingerprint of a file, or "folder".
std::string seenAt(const Path& path, host::Host& host);

/// Throws Conflict where a file is not what `seen` is the fingerprint of: the world moved between looking and enacting.
void expectUnchanged(const Path& path, const std::string& seen, host::Host& host);

/// A unified diff of two texts' lines, three lines of context, at most `limit` lines.
std::string lineDiff(std::string_view before, std::string_view after, std::size_t limit = 400);

} // namespace kubestrap::plan
