#include "cmd/cluster_lock.hpp"

#include "support/time.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace kubestrap::cmd {

namespace {

/// A signal is heard while the shell waits for cat, and not while it runs it.
constexpr std::string_view lockScript = R"sh(
lock=/run/kubestrap/cluster.lock
mkdir -p /run/kubestrap
holder() { cat "$lock/pid" 2>/dev/null; }
if [ "$2" = over ]; then
  old=$(holder)
  [ -n "$old" ] && kill "$old" 2>/dev/null
  tries=50
  while [ -n "$old" ] && [ "$tries" -gt 0 ] && kill -0 "$old" 2>/dev/null; do sleep 0.1; tries=$((tries - 1)); done
  rm -rf "$lock"
fi
if ! mkdir "$lock" 2>/dev/null; then
  [ -n "$(holder)" ] || sleep 1
  old=$(holder)
  if [ -n "$old" ] && kill -0 "$old" 2>/dev/null; then cat "$lock/holder"; exit 75; fi
  rm -rf "$lock"
  mkdir "$lock" || exit 1
fi
trap '[ "$(holder)" = $$ ] && rm -rf "$lock"; kill $! 2>/dev/null' EXIT
trap 'exit 0' HUP INT TERM PIPE
printf %s "$1" >"$lock/holder"
echo $$ >"$lock/pid"
echo held
exec 3<&0
cat <&3 >/dev/null &
wait $!
)sh";

constexpr int isHeld = 75;
constexpr auto forEver = std::chrono::hours(24 * 30);

std::string ownName() {
  utsname machine{};
  uname(&machine);
  const auto* user = getpwuid(geteuid());
  return fmt::format("{}@{}", user ? user->pw_name : std::to_string(geteuid()), machine.nodename);
}

Error heldBy(const std::string& host, const std::string& holder) {
  const auto known = Value::parse(holder, nullptr, false);
  const auto told = [&](const char* member) { return known.is_object() ? stringAt(known, member, "?") : "?"; };
  return Error(fmt::format("{} is at work on this cluster since {} (process {}; {} keeps the lock)", told("who"), told("since"), told("pid"), host),
               "wait until it has ended; --take-over ends it, and goes on", ExitCode::refused);
}

} // namespace

ClusterLock::ClusterLock(const Fleet& fleet, std::string host, Take take, std::function<void()> lost) : fleet_(fleet), host_(std::move(host)), lost_(std::move(lost)) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("a pipe cannot be made");
  reading_ = ends[0], writing_ = ends[1];
  thread_ = std::jthread([this, take] { hold(take); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return held_ || over_; });
  if (held_) return;
  released_ = true;
  lock.unlock();
  thread_.join();
  close(writing_);
  close(reading_);
  if (!refused_) throw Interrupted();
  throw *refused_;
}

ClusterLock::~ClusterLock() {
  {
    const std::lock_guard lock(mutex_);
    released_ = true;
  }
  close(writing_); // which ends it there
  if (thread_.joinable()) thread_.join();
  close(reading_);
}

void ClusterLock::hold(Take take) {
  const Value holder{{"who", ownName()}, {"pid", std::to_string(getpid())}, {"since", formatRfc3339(std::chrono::system_clock::now())}};
  const auto hear = [&](std::string_view line) {
    if (line != "held") return;
    const std::lock_guard lock(mutex_);
    held_ = true;
    changed_.notify_all();
  };
  std::optional<Error> why;
  try {
    const auto ended = fleet_.run(host_, {.script = std::string(lockScript), .arguments = {holder.dump(), take == Take::over ? "over" : "free"}, .input = {},
                                          .feed = {.input = reading_, .output = hear}, .timeout = forEver});
    why = ended.exitCode == isHeld ? heldBy(host_, ended.output) : Error(fmt::format("the lock on {} cannot be taken: {}", host_, ended.errors), "look at /run/kubestrap there");
  } catch (const Interrupted&) {
  } catch (const Error& error) {
    why = error;
  }
  const std::lock_guard lock(mutex_);
  over_ = true;
  refused_ = why;
  if (held_ && !released_) lost_();
  changed_.notify_all();
}

} // namespace kubestrap::cmd
