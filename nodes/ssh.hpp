#pragma once
// nodes/ is the way to other machines. It brings a script there and what it says back, and knows nothing of clusters.

#include "host/feed.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <string>
#include <vector>

namespace kubestrap::nodes {

/// A machine as ssh is told of it. What is empty is left to ssh's own configuration.
struct Target {
  std::string name; ///< for messages
  std::string host, user, identityFile;
  int port = 0;
};

/// What is to be done there, as root.
struct Errand {
  std::string script;                 ///< of a POSIX shell
  std::vector<std::string> arguments; ///< $1, $2, ...: everybody there can see them, so no secrets
  std::string input;                  ///< what it reads
  std::optional<std::filesystem::path> file = {}; ///< ... from this file instead
  host::Feed feed = {};                           ///< ... or from there; and who hears it
  Duration timeout = std::chrono::minutes(1);
  std::function<void(std::uint64_t read, std::uint64_t of)> progress = {}; ///< hears once a second how much of `file` has gone, from another thread
};

/// The machine could not be reached, or root is out of reach there.
class Unreachable : public Error {
public:
  using Error::Error;
};

/// sshd's MaxSessions is 10 for a connection by itself, and what comes beyond that is refused.
inline constexpr std::ptrdiff_t sessionsAtOnce = 8;

/// The user's own ssh: its configuration, agent, jump hosts and known hosts. One connection for each machine, kept until the end.
/// May be used from several threads; `sessionsAtOnce` errands are on a machine at the same time, others wait.
class Ssh {
public:
  /// `configFile`: as ssh -F takes it; empty: the user's own. A stop request ends what is under way.
  explicit Ssh(std::string configFile, std::stop_token stop);
  Ssh(const Ssh&) = delete;
  ~Ssh(); ///< closes all connections

  /// Runs it to its end. Throws Unreachable; Interrupted when asked to stop.
  host::CommandResult run(const Target& target, const Errand& errand) const;

private:
  using Sessions = std::counting_semaphore<sessionsAtOnce>;
  enum class Connection { kept, once };
  std::vector<std::string> words(const Target& target, Connection connection) const;
  host::CommandResult connectAlone(const Target& target) const;
  Sessions& sessionsOf(const Target& target) const;

  std::string configFile_;
  std::filesystem::path sockets_;
  std::stop_token stop_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Sessions> sessions_;
};

/// The words after "ssh" for an errand.
std::vector<std::string> remoteCommand(const Errand& errand);

/// Why ssh could not, of all that came by standard error: not what the machine itself has said before, nor what only follows from another line, as it does behind a jump host.
std::string causeIn(std::string_view errors);

/// What that means, for whoever has to put it right, with how to come there by hand as kubestrap does. `configFile`: in place of the user's own; empty: that one.
std::string hintFor(std::string_view cause, const Target& target, const std::string& configFile = {});

} // namespace kubestrap::nodes
