#pragma once

#include "host/host.hpp"
#include "plan/change.hpp"
#include "support/time.hpp"
#include "support/value.hpp"

#include <string>
#include <vector>

namespace kubestrap::plan {

/// What an effect is about to do, with what was there before.
struct Intent {
  std::string kind;    ///< "File", "Service", "Object"
  std::string subject; ///< as in the Change
  Verb verb = Verb::create;
  Value target;        ///< {"path": ...}, {"unit": ...}, {"apiVersion", "kind", "namespace", "name", "server"}
  Value before;        ///< null when nothing was there; never a content, only digests, modes, states
  std::string savedContent; ///< of a file that is replaced: kept beside the journal, 0600
  bool saveContent = false;
};

/// The machine's memory of what kubestrap made (decision D17): /var/lib/kubestrap/journal, one JSON record a line, written and
/// synced before the effect. A record without its "done" means "perhaps". It holds names, digests and paths, never a secret; what
/// was replaced lies in /var/lib/kubestrap/before/ with mode 0600.
class Journal {
public:
  Journal(host::Host& host, std::string command);

  /// Records intents, all synced before it returns; gives their numbers.
  std::vector<std::uint64_t> begin(const std::vector<Intent>& intents, TimePoint now);
  /// Not synced: losing it loses nothing but certainty.
  void done(const std::vector<std::uint64_t>& numbers, TimePoint now);
  /// Marks the end of a command: "done", "failed: ...", "interrupted".
  void end(const std::string& result, TimePoint now);

  /// Closes the records: what they name was undone. What was kept to be put back is removed.
  void close(TimePoint now);

  /// Whether some record names this path.
  bool names(const host::Path& path) const;

  /// All records since they were closed the last time, oldest first; a torn last line is left out.
  static std::vector<Value> read(host::Host& host);
  /// The closed ones too.
  static std::vector<Value> readAll(host::Host& host);
  /// What the machine was like before the first record; null where nobody has looked.
  static Value inventory(host::Host& host);

private:
  void start(TimePoint now);
  host::Host& host_;
  std::string command_;
  std::uint64_t next_ = 0;
  bool started_ = false;
};

} // namespace kubestrap::plan
