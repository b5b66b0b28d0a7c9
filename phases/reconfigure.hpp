#pragma once
// Other settings of a control plane that runs in its own cluster: what lies in files of the nodes (API servers' certificates, the audit log's policy, what
// they encrypt with) node by node, what is on command lines by a roll. Pure: one look in, the next step out (plan/next.hpp). How far it is can be seen of the
// nodes and the DaemonSets, so it goes on by being run again, from any control plane node.

#include "phases/encryption.hpp"
#include "phases/node_reset.hpp"
#include "phases/roll.hpp"

#include <optional>
#include <string>
#include <vector>

namespace kubestrap::phases::reconfigure {

/// What is seen of the files of one control plane.
struct NodeSeen {
  std::string name;
  bool settled = false;     ///< certificate and audit policy are as wished
  std::string keysDigest;   ///< of its file of encryption keys (encryption::digest); empty: it has none
  std::string writingKey = {}; ///< the one of them that encrypts (encryption::writingKey); empty: none
  bool encryptsByIt = false; ///< its API server has loaded that file as it is
  std::string receiver = {}; ///< of another node: a certificate, in PEM, for whose key secrets can be sealed
};

struct Seen {
  roll::Seen roll;
  std::vector<NodeSeen> nodes;             ///< this machine first
  std::optional<encryption::Keys> keys;    ///< of this machine, by which the others go
  std::string storedBy;                    ///< by what this run has written every object anew (encryption::writer); empty: it has not yet
  bool rotated = false;                    ///< this run has seen a second key: it begins no further rotation
  bool uploadedCerts = false;              ///< kubeadm-certs is there
  bool joinsWait = false;                  ///< control planes that join are refused (manifests::keysMoveAnnotation)
  std::vector<std::string> carriers = {};  ///< nodes for which a Secret with keys is there still (secretOf): whoever put it there was killed
};

/// What is wished, the same in all steps.
struct Intent {
  roll::Intent roll;                     ///< with how things shall be
  std::vector<std::string> goingNames;   ///< of certSANs: those that are not wanted any more
  encryption::Wish encryption;
  bool planning = false;   ///< nothing will be done: pods that look do not take the place of those of a run
  bool keysByHand = false; ///< arguments say by which file API servers encrypt: keys are left alone
  NodeAccess nodes;
};

/// What shall be true of the files of one control plane, but for its keys.
plan::Resources onNode(const config::Setup& setup, const std::vector<std::string>& goingNames);
/// Of this, the files.
plan::Resources certificateAndPolicy(const config::Setup& setup, const std::vector<std::string>& goingNames);
plan::Condition showsItsNames(const config::Setup& setup);
/// Its API server encrypts by the file that is there.
plan::Condition encryptsByItsFile(const config::Setup& setup);
/// Where the file of keys waits for another node, sealed for it, and as which member.
std::string secretOf(const std::string& node);
inline constexpr std::string_view keysMember = "keys";

/// Whether something may lie encrypted, whatever configurations say: then the keys of every control plane node matter.
bool hasKeys(const Intent& intent, const Seen& seen);

/// Nothing is encrypted any more. The file stays, without a key: the standby, and a revision that comes back, name it until guards have the one after.
plan::Resources forgotten(const config::Setup& setup, const encryption::Keys& keys);
/// Whether a step writes every object anew: what only the driver can know to have been done.
bool storesAnew(const plan::Step& step);

/// What another node is told to do.
enum class Task { look, files, takeKeys, loadKeys, forgetKeys };
std::string_view name(Task task);
std::optional<Task> parseTask(std::string_view name);
/// By a pod on that node.
plan::RunOnNode runOn(const Intent& intent, const std::string& node, Task task, const std::string& what);

/// The next step; with a failure of the roll the way back, which ends Stuck with its cause.
plan::Next next(const Intent& intent, const std::optional<roll::Failure>& failure, const Seen& seen);
/// The look after a step that went well.
Seen assumed(const Intent& intent, Seen seen, const plan::Next& done);

} // namespace kubestrap::phases::reconfigure
