#include "nodes/ssh.hpp"

#include "host/descriptor.hpp"
#include "host/process.hpp"
#include "nodes/shell.hpp"
#include "support/sleep.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

namespace kubestrap::nodes {

namespace {

namespace fs = std::filesystem;

constexpr int connectionFailed = 255, noRoot = 253;
constexpr std::chrono::seconds progressEvery{1};
constexpr std::chrono::seconds longestPause{5}; ///< between attempts to come in; the first one is a second

/// Becomes root and goes on with the script and its arguments. The PATH of somebody who has not logged in may lack where the tools of root are.
constexpr std::string_view asRoot = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; "
                                    "[ \"$(id -u)\" = 0 ] && exec sh -c \"$@\"; "
                                    "sudo -n true </dev/null || exit 253; "
                                    "exec sudo -n -- sh -c \"$@\"";

/// A jump host's ssh is not told of BatchMode: it would ask on the terminal, and stand still there, since it is in the background. So what it asks is answered by a no.
const std::vector<std::string> askingNobody{"SSH_ASKPASS=false", "SSH_ASKPASS_REQUIRE=force", "ssh"};

/// A folder that nobody else can look into. The path is short: that of a socket is at most 107 octets.
fs::path privateFolder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  for (const auto& base : {std::string(runtime && *runtime && std::string_view(runtime).size() < 30 ? runtime : "/tmp"), std::string("/tmp")}) {
    auto name = base + "/kubestrap-XXXXXX";
    if (mkdtemp(name.data())) return name;
  }
  throw Error("no folder for ssh's sockets could be made below /tmp", "see whether /tmp can be written to");
}

/// What stands between two others in a line; empty: they are not there.
std::string_view between(std::string_view line, std::string_view before, std::string_view after) {
  const auto begin = line.find(before);
  if (begin == std::string_view::npos) return {};
  line.remove_prefix(begin + before.size());
  const auto end = line.find(after);
  return end == std::string_view::npos ? std::string_view() : line.substr(0, end);
}

/// Of lines that only follow from another one, or tell nothing more than that the other side has hung up.
bool isConsequence(std::string_view line) {
  constexpr std::string_view begins[] = {"kex_exchange_identification:", "banner exchange:", "stdio forwarding failed", "Connection closed by ", "Connection reset by ", "Disconnected from "};
  return std::ranges::any_of(begins, [&](std::string_view words) { return line.starts_with(words); });
}

/// Its sshd, or that of a jump host which many come through, drops some of those that are on their way in at once (MaxStartups). Nothing was begun then.
bool wasDropped(const host::CommandResult& result) {
  return !result.timedOut && result.exitCode == connectionFailed && result.errors.find("kex_exchange_identification:") != std::string::npos && isConsequence(causeIn(result.errors));
}

/// Who reads the file has the same position in it, whichever process that is.
std::jthread watching(int file, const Errand& errand) {
  if (file < 0 || !errand.progress) return {};
  std::error_code ignored;
  return std::jthread([file, &errand, size = fs::file_size(*errand.file, ignored)](std::stop_token stop) {
    while (sleepFor(progressEvery, stop))
      if (const auto at = lseek(file, 0, SEEK_CUR); at > 0) errand.progress(static_cast<std::uint64_t>(at), size);
  });
}

template <class Sessions, class Work> auto inTurn(Sessions& sessions, const Work& work) {
  struct Turn {
    Sessions& sessions;
    explicit Turn(Sessions& all) : sessions(all) { sessions.acquire(); }
    ~Turn() { sessions.release(); }
  } const turn(sessions);
  return work();
}

} // namespace

std::vector<std::string> remoteCommand(const Errand& errand) {
  std::vector<std::string> words{"sh", "-c", std::string(asRoot), "sh", errand.script, "sh"};
  words.insert(words.end(), errand.arguments.begin(), errand.arguments.end());
  return {commandLine(words)};
}

std::string causeIn(std::string_view errors) {
  std::string cause, consequence, changed, known = "known_hosts";
  for (const auto& line : split(errors, '\n')) {
    const auto text = trim(line);
    if (text.empty() || text.starts_with('{') || text.starts_with("warning: ")) continue; // what the machine said before the connection broke
    if (text.starts_with("Offending ") && text.find(" key in ") != std::string_view::npos) known = text.substr(text.find(" key in ") + 8);
    if (const auto host = between(text, "ost key for ", " has changed and you have requested strict checking"); !host.empty()) changed = host;
    (isConsequence(text) ? consequence : cause) = text;
  }
  if (!changed.empty()) return fmt::format("the host key of {} has changed: {} has another", changed, known);
  return cause.empty() ? consequence : cause;
}

namespace {

/// What words of ssh mean; how to come there by hand follows.
struct Remedy {
  std::string_view said, hint;
};

constexpr std::string_view away = "see whether it is up, and has this address, and whether a firewall is on the way";
constexpr Remedy remedies[] = {
    {"Unable to negotiate", "its sshd and this ssh have no algorithm in common: bring the older one up to date, or allow for this machine alone what it offers (ssh_config)"},
    {"Host key verification failed", "compare its key, put it into known_hosts, or log in once by hand"},
    {"host key", "compare its key, put it into known_hosts, or log in once by hand"},
    {"Too many authentication failures", "the agent has more keys than may be tried: name the right one as identityFile, and say IdentitiesOnly yes for this machine (ssh_config)"},
    {"Could not resolve hostname", "this desk does not know the name: give the machine an address, or ssh.host in the file, or a HostName in ssh_config"},
    {"bad configuration option", "put ssh's configuration right; this has to work"},
    {"Connection refused", "no sshd listens at this address and port: see whether it runs there, and which port it has (ssh.port in the file)"},
    {"No route to host", away},
    {"Network is unreachable", away},
    {"timed out", away},
    {"not responding", away},
};

/// Options and the machine.
std::string wordsByHand(const Target& target, const std::string& configFile) {
  std::vector<std::string> words;
  if (!configFile.empty()) words.insert(words.end(), {"-F", configFile});
  if (!target.identityFile.empty()) words.insert(words.end(), {"-i", target.identityFile});
  if (target.port != 0) words.insert(words.end(), {"-p", std::to_string(target.port)});
  words.push_back(target.user.empty() ? target.host : target.user + "@" + target.host);
  return commandLine(words);
}

} // namespace

std::string hintFor(std::string_view cause, const Target& target, const std::string& configFile) {
  const auto there = wordsByHand(target, configFile);
  if (const auto changed = between(cause, "the host key of ", " has changed: "); !changed.empty())
    return fmt::format("ask whether that machine was made anew: if it was not, somebody else answers in its place; if it was, ssh-keygen -R {}, and log in once by hand: ssh {}", shellWord(changed), there);
  if (cause.find("Permission denied") != std::string_view::npos) return fmt::format("load the key with ssh-add, or name it as identityFile; this has to work without a question: ssh -o BatchMode=yes {} true", there);
  if (isConsequence(cause))
    return fmt::format("an sshd on the way hangs up at once: too many come in, or this desk is shut out for a while, having failed to log in (PerSourcePenalties); see what it says: ssh {}", there);
  const auto known = std::ranges::find_if(remedies, [&](const Remedy& each) { return cause.find(each.said) != std::string_view::npos; });
  return fmt::format("{}: ssh {}", known == std::end(remedies) ? "see whether it is up" : known->hint, there);
}

Ssh::Ssh(std::string configFile, std::stop_token stop) : configFile_(std::move(configFile)), sockets_(privateFolder()), stop_(std::move(stop)) {}

Ssh::~Ssh() {
  std::error_code ignored;
  for (const auto& socket : fs::directory_iterator(sockets_, ignored)) {
    try {
      host::runProcess({.program = "ssh", .arguments = {"-F", "none", "-o", "ControlPath=" + socket.path().string(), "-O", "exit", "all"}, .input = {}, .timeout = std::chrono::seconds(5)});
    } catch (const Error&) { // it goes by itself after a minute without work
    }
  }
  fs::remove_all(sockets_, ignored);
}

std::vector<std::string> Ssh::words(const Target& target, Connection connection) const {
  auto all = askingNobody;
  all.emplace_back("-T");
  if (!configFile_.empty()) all.insert(all.end(), {"-F", configFile_});
  for (const auto* option : {"BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=4", "ForwardX11=no", "ForwardAgent=no", "ClearAllForwardings=yes",
                             "RemoteCommand=none", "LogLevel=ERROR"})
    all.insert(all.end(), {"-o", option});
  if (connection == Connection::kept) all.insert(all.end(), {"-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath=" + (sockets_ / "%C").string()});
  else all.insert(all.end(), {"-o", "ControlMaster=no", "-o", "ControlPath=none"});
  if (!target.user.empty()) all.insert(all.end(), {"-l", target.user});
  if (target.port != 0) all.insert(all.end(), {"-p", std::to_string(target.port)});
  if (!target.identityFile.empty()) all.insert(all.end(), {"-i", target.identityFile});
  all.insert(all.end(), {"--", target.host});
  return all;
}

Ssh::Sessions& Ssh::sessionsOf(const Target& target) const {
  const std::lock_guard lock(mutex_);
  return sessions_.try_emplace(fmt::format("{}@{}:{}", target.user, target.host, target.port), sessionsAtOnce).first->second;
}

/// Of a connection that is kept ssh lets nobody hear what its own ssh to a jump host says.
host::CommandResult Ssh::connectAlone(const Target& target) const {
  host::Command command{.program = "env", .arguments = words(target, Connection::once), .input = {}, .timeout = std::chrono::seconds(30)};
  command.arguments.emplace_back("true");
  return host::runProcess(command, {}, stop_);
}

host::CommandResult Ssh::run(const Target& target, const Errand& errand) const {
  host::Command command{.program = "env", .arguments = words(target, Connection::kept), .input = errand.input, .timeout = errand.timeout};
  for (auto& word : remoteCommand(errand)) command.arguments.push_back(std::move(word));
  auto feed = errand.feed;
  host::Descriptor file;
  if (errand.file) {
    file = host::Descriptor(open(errand.file->c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) throw Error(fmt::format("cannot read {}", errand.file->string()), "see whether it is there, and may be read");
    feed.input = file.get();
  }
  const auto watch = watching(file.get(), errand);
  const auto attempt = [&] { return inTurn(sessionsOf(target), [&] { return host::runProcess(command, feed, stop_); }); };
  auto result = attempt();
  for (std::chrono::seconds pause{1}; pause <= longestPause && wasDropped(result); ++pause) {
    if (auto alone = connectAlone(target); alone.exitCode == connectionFailed && !wasDropped(alone)) {
      result = std::move(alone);
      break;
    }
    if (!sleepFor(pause, stop_)) throw Interrupted();
    result = attempt();
  }
  const auto cause = causeIn(result.errors);
  if (result.timedOut) throw Unreachable(fmt::format("it has not answered for {}", humanDuration(errand.timeout)), hintFor("", target, configFile_));
  if (result.exitCode == connectionFailed) throw Unreachable(cause.empty() ? "the connection broke" : cause, hintFor(cause, target, configFile_));
  if (result.exitCode == noRoot)
    throw Unreachable(fmt::format("{} is not root there, and may not become it: {}", target.user.empty() ? "who logs in" : target.user, cause),
                      "log in as root, or let sudo not ask: NOPASSWD in /etc/sudoers.d");
  return result;
}

} // namespace kubestrap::nodes
