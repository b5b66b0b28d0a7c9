#pragma once
// How API servers encrypt what they store: the file that says with which keys, and what comes next on the way to what is wished. The order in the file
// is the state: the first one encrypts what is written, all of them are tried for what is read. Pure.

#include "config/model.hpp"
#include "plan/resource.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases::encryption {

/// One of those that are tried.
struct Provider {
  std::string name; ///< "identity": as it is; "secretbox"
  std::string key;  ///< "key1"; empty: identity has none
  Secret secret;    ///< in base64
  bool encrypts() const { return name != "identity"; }
};

struct Keys {
  std::vector<std::string> resources;
  std::vector<Provider> providers;
};

/// Throws Error for a file that says what kubestrap does not write.
Keys parse(std::string_view text, const std::string& source);
/// EncryptionConfiguration of apiserver.config.k8s.io/v1.
std::string emit(const Keys& keys);
/// "identity, key1": for people.
std::string describe(const Keys& keys);
/// Whether there is a key.
bool hasKey(const Keys& keys);
/// Nothing is encrypted, and no key is there.
Keys withoutKeys(const Keys& keys);
/// Whether there are two keys: one takes the other's place.
bool rotates(const Keys& keys);
/// The same for the same file, and says nothing of the keys.
std::string digest(const Keys& keys);

/// The key with which it encrypts, as a digest; empty: none, since identity is the first.
std::string writingKey(const Keys& keys);
/// Whether what was written by that key can be read with these.
bool canRead(const Keys& keys, const std::string& writingKey);
/// By what new objects are encrypted, as a digest: the same as long as the first one is the same.
std::string writer(const Keys& keys);

/// From the first moment: what is written is encrypted.
Keys first(const config::EncryptionAtRest& wished, const Secret& secret);

/// The file of a control plane that begins with encryption, where there is none yet.
plan::Resources begun(const config::Setup& setup);

/// What is known of all nodes, whose API servers go by the same file.
struct Seen {
  std::optional<Keys> keys;      ///< nothing: there is no key
  bool flagged = false;          ///< API servers are told the file
  bool storedAnew = false;       ///< everything has been written since the first of these keys is the first
  bool configured = false;       ///< the cluster's configuration says what is wished: all of it was written by some key that is there
};

struct Wish {
  std::optional<config::EncryptionAtRest> encryption; ///< nothing: as it is
  bool rotates = false; ///< by another key than the one there is; one that is under way is gone on with in any case
  Secret secret;        ///< for another key, in base64
};

enum class Does {
  nothing, ///< it is as far as it can be; what remains is the API servers' flags
  file,    ///< all nodes get this file
  store,   ///< every object is written anew
  forget   ///< no node keeps a key
};
struct Move {
  Does does = Does::nothing;
  Keys keys = {};
};
/// What comes next, all nodes being as `seen`.
Move next(const Wish& wish, const Seen& seen);

} // namespace kubestrap::phases::encryption
