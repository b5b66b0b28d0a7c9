#pragma once
// guard/ is the guard of a control plane node at work: it looks, lets phases/guard.hpp decide, and does what that says. It decides nothing
// itself, and has no listener. This header is what it keeps and finds on the machine's disk.

#include "config/model.hpp"
#include "host/host.hpp"
#include "phases/guard.hpp"
#include "support/value.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>

namespace kubestrap::guard {

using phases::guard::Component;
using phases::guard::Slot;

/// node.json: what counts while there is no API to ask.
struct NodeState {
  std::string mode = "selfhosted"; ///< or "bootstrap", "leaving"
  std::set<Component> held;
  bool operator==(const NodeState&) const = default;
};
/// Throws Error for what is none.
NodeState parseNodeState(const std::string& text);
std::string emitNodeState(const NodeState& state);
/// Names with commas between them; unknown ones are passed over.
std::set<Component> componentsIn(const std::string& names);

/// Why no static pod of the component in that slot could run from this; empty: one could. A file that was cut off is found out, too.
std::string unfitStandby(Component component, Slot slot, const Value& pod);

struct Promoted {
  bool rescue = false, previous = false;
  std::set<std::string> activations;
};

class Disk {
public:
  explicit Disk(host::Host& host) : host_(host) {}

  /// What node.json says; where it cannot be read, what it said last.
  NodeState nodeState();
  void keep(const NodeState& state); ///< where it differs from what is there
  bool isFenced();

  /// Control plane nodes and where they let others reach their own API servers, this one included.
  std::map<std::string, config::Endpoint> peers();
  void keep(const std::map<std::string, config::Endpoint>& peers);

  std::optional<Value> standby(Component component, Slot slot); ///< nothing: none, or one that is not fit
  bool has(Component component, Slot slot);                     ///< the same, without a copy
  Promoted promoted(Component component);

  /// The standby as a static pod, with a count that makes it a new one.
  void promote(Component component, Slot slot);
  /// Takes out of the static pod folder whatever is promoted. (Folders are mounts of their own, so that nothing can be renamed out of it;
  /// the standby that it was made of lies where it was.)
  void demote(Component component);
  /// `pod` becomes the standby, and the one until now the one before.
  void writeStandby(Component component, const Value& pod);

private:
  struct Cached {
    TimePoint modified;
    std::uint64_t size = 0;
    std::optional<Value> value;
  };
  /// A YAML document, parsed again only when the file was written; nothing when absent or unreadable.
  const std::optional<Value>& document(const config::Path& path);

  host::Host& host_;
  std::map<config::Path, Cached> cache_;
  NodeState last_;
  std::string trouble_; ///< with node.json, told of once
};

} // namespace kubestrap::guard
