#pragma once
// One pair of functions for each kind of resource: what differs, and make it so. Only the engine includes this.

#include "certs/key.hpp"
#include "etcd/client.hpp"
#include "kube/client.hpp"
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
  std::set<Path>* wouldRemove = nullptr; ///< the same of what it has removed
};

Change diff(const File& wanted, const Context& context);
Change diff(const Folder& wanted, const Context& context);
Change diff(const Absent& wanted, const Context& context);
Change diff(const Certificate& wanted, const Context& context);
Change diff(const KeyPair& wanted, const Context& context);
Change diff(const Kubeconfig& wanted, const Context& context);
Change diff(const Service& wanted, const Context& context);
Change diff(const Object& wanted, const Context& context);
Change diff(const EtcdMember& wanted, const Context& context);
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
void enact(const EtcdMember& wanted, const Change& change, const Context& context);
void enact(const Condition& wanted, const Change& change, const Context& context);
void enact(const Task& wanted, const Change& change, const Context& context);
void enact(const Resource& wanted, const Change& change, const Context& context);

// Tasks of reset (undoing.cpp, drain.cpp): whether they are needed, and their doing.
Change needed(const TurnSwapOn& wanted, const Context& context);
Change needed(const RestoreUnit& wanted, const Context& context);
Change needed(const RemovePods& wanted, const Context& context);
Change needed(const Unmount& wanted, const Context& context);
Change needed(const RemoveClusterRules& wanted, const Context& context);
Change needed(const RemoveLink& wanted, const Context& context);
Change needed(const Drain& wanted, const Context& context);
void perform(const TurnSwapOn& wanted, const Change& change, const Context& context);
void perform(const RestoreUnit& wanted, const Change& change, const Context& context);
void perform(const RemovePods& wanted, const Change& change, const Context& context);
void perform(const Unmount& wanted, const Change& change, const Context& context);
void perform(const RemoveClusterRules& wanted, const Change& change, const Context& context);
void perform(const RemoveLink& wanted, const Change& change, const Context& context);
void perform(const Drain& wanted, const Change& change, const Context& context);

// Tasks of upgrade and readdress (replacing.cpp, turn.cpp, snapshot.cpp, drain.cpp, etcd_address.cpp).
Change needed(const ReplaceStaticPods& wanted, const Context& context);
Change needed(const GiveTurnBack& wanted, const Context& context);
Change needed(const SaveEtcdSnapshot& wanted, const Context& context);
Change needed(const MoveEtcdMember& wanted, const Context& context);
Change needed(const Uncordon& wanted, const Context& context);
Change needed(const InstallProgram& wanted, const Context& context);
void perform(const ReplaceStaticPods& wanted, const Change& change, const Context& context);
void perform(const GiveTurnBack& wanted, const Change& change, const Context& context);
void perform(const SaveEtcdSnapshot& wanted, const Change& change, const Context& context);
void perform(const MoveEtcdMember& wanted, const Change& change, const Context& context);
void perform(const Uncordon& wanted, const Change& change, const Context& context);
void perform(const InstallProgram& wanted, const Change& change, const Context& context);

// Tasks of the rotation of authorities (kubelet_certificate.cpp, on_node.cpp).
Change needed(const KubeletCertificate& wanted, const Context& context);
Change needed(const RunOnNode& wanted, const Context& context);
void perform(const KubeletCertificate& wanted, const Change& change, const Context& context);
void perform(const RunOnNode& wanted, const Change& change, const Context& context);

// What API servers encrypt (encryption.cpp).
Change needed(const StoreAnew& wanted, const Context& context);
void perform(const StoreAnew& wanted, const Change& change, const Context& context);
std::optional<std::string> lackOf(const EncryptsBy& probe, const Context& context);

/// The authorities of a file, in PEM: the first certificate (kubeadm: pki_helpers.go), and those of the same name, which take its place or
/// had it before.
std::string authoritiesIn(std::string_view pem, const Path& path);

// Tasks of a bundle (bundle.cpp).
Change needed(const UnpackBundle& wanted, const Context& context);
Change needed(const InstallPart& wanted, const Context& context);
Change needed(const InstallPackages& wanted, const Context& context);
Change needed(const RemovePackages& wanted, const Context& context);
void perform(const UnpackBundle& wanted, const Change& change, const Context& context);
void perform(const InstallPart& wanted, const Change& change, const Context& context);
void perform(const InstallPackages& wanted, const Change& change, const Context& context);
void perform(const RemovePackages& wanted, const Change& change, const Context& context);

/// Runs a program whose failure ends the run, told in its own words.
void runOrThrow(host::Host& host, const std::string& program, std::vector<std::string> arguments, const std::string& hint,
                const std::string& input = {}, Duration timeout = std::chrono::seconds(30));

/// Whether a program is as the file that is to take its place.
bool isInstalled(const Path& from, const Path& to, host::Host& host);

/// Where the kernel shows a sysctl: "net.ipv4.ip_forward" is /proc/sys/net/ipv4/ip_forward.
Path sysctlFile(std::string_view name);
/// Names in /proc/swaps.
std::vector<std::string> activeSwaps(host::Host& host);

/// Asks an API server until it answers, fails for good, or patience is over. Looks again after no answer, 429 and 5xx, and for up to
/// ten seconds after Forbidden (rights that were just granted take a moment to be seen).
void withPatience(const Context& context, std::string_view what, const std::function<void()>& call);

/// Asks until nothing is lacking, a fatal sign shows, or patience is over. `lack` says in a few words what is missing, or nothing.
void await(const Condition& wanted, const Change& change, const Context& context,
           const std::function<std::optional<std::string>()>& lack);

/// The cluster's API with the credentials of a file of this machine. Throws NotYet when that is absent.
kube::Client connect(const Access& access, const Context& context);
/// Where each node's API server is reached, as the cluster tells of them: "https://10.0.0.12:6443".
std::map<std::string, std::string> apiServers(kube::Client& client);
/// etcd's members, found by their pods' annotations (kubeadm: util/etcd/etcd.go). Throws NotYet when files or pods are absent.
etcd::Client connect(const EtcdAccess& access, const Context& context);
/// Waits until nobody else has the turn, and takes it; a Lease that nobody has made yet is made.
void takeTurn(const Turn& turn, const Context& context);
/// The same where this node's API server may be away: another is asked as well, and where none answers for some seconds, nothing is taken.
enum class TurnTaken { yes, nobodyAnswers };
TurnTaken takeTurnIfAnswered(const Turn& turn, const Context& context);
/// Who has it other than `self`; empty: nobody.
std::string otherThatHas(std::string_view lease, const std::string& self, kube::Client& client, TimePoint now);
/// Gives it back where it is held.
void endTurn(const Turn& turn, const Context& context);
/// What more than half of the members need to be called healthy; nothing when it holds.
std::optional<std::string> lackOfHealth(etcd::Client& client);
/// What the others lack to be more than half without the member at `own`; nothing when they are, all are well, or that one is away as it is.
std::optional<std::string> lackOfOthers(const EtcdAccess& access, const std::string& own, const Context& context);
/// "n1=https://10.0.0.11:2380,n2=..." for a member that begins among those that there are.
std::string initialCluster(const InitialCluster& wanted, const Context& context);
/// The content to write where etcd's members have to be asked for it; `found` is what is there.
std::string completed(const File& wanted, const std::optional<std::string>& found, const Context& context);

/// What is needed cannot be seen yet: a file that an earlier phase will make, an object that is not there.
class NotYet : public Error {
public:
  using Error::Error;
};

/// "absent" or the first 16 hex digits of the content's SHA-256.
std::string fingerprint(const std::optional<std::string>& content);

/// The fingerprint of a file, or "folder".
std::string seenAt(const Path& path, host::Host& host);

/// Throws Conflict where a file is not what `seen` is the fingerprint of: the world moved between looking and enacting.
void expectUnchanged(const Path& path, const std::string& seen, host::Host& host);
Conflict changedMeanwhile(const Path& path);

/// A unified diff of two texts' lines, three lines of context, at most `limit` lines.
std::string lineDiff(std::string_view before, std::string_view after, std::size_t limit = 400);

} // namespace kubestrap::plan
