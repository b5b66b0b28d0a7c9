#include "cmd/cluster_steps.hpp"

#include "cmd/globals.hpp"
#include "cmd/machine.hpp"
#include "cmd/progress.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::cmd {

namespace {

using phases::fleet::Task;

/// What arrives is looked at before it takes its place; what an earlier one has left goes.
constexpr std::string_view copyScript = R"sh(
set -eu
mkdir -p "${1%/*}"
rm -f "$1".new-*
[ "$(sha256sum 2>/dev/null <"$1" | cut -d ' ' -f 1)" != "$3" ] || exit 0
new=$1.new-$$
trap 'rm -f "$new"' EXIT
umask 077
cat >"$new"
[ "$(sha256sum <"$new" | cut -d ' ' -f 1)" = "$3" ] || { echo "error: $1 has not arrived whole" >&2; exit 1; }
chmod "$2" "$new"
mv -f "$new" "$1"
)sh";

/// kubestrap with these words; while it has not come to its end that is written down.
constexpr std::string_view runScript = R"sh(
mark=/var/lib/kubestrap/unfinished
if [ -n "$1" ]; then
  mkdir -p -m 700 /var/lib/kubestrap
  echo "$1" >"$mark"
fi
marked=$1
shift
/usr/bin/kubestrap "$@"
code=$?
if [ "$code" = 0 ]; then
  case $marked:$1 in ?*:*|:reset) rm -f "$mark" ;; esac
fi
exit $code
)sh";

/// A worker has no right to be drained: it gets the administrator's file for as long as that takes, and on no disk.
constexpr std::string_view upgradeNodeScript = R"sh(
umask 077
admin=/etc/kubernetes/admin.conf
trap 'case $admin in /run/*) rm -rf "${admin%/*}" ;; esac' EXIT
trap 'exit 1' HUP INT TERM PIPE
if [ ! -e "$admin" ]; then
  folder=$(mktemp -d /run/kubestrap-XXXXXX) || exit 1
  admin=$folder/admin.conf
  cat >"$admin"
fi
# The API server may just begin anew on the node before this one.
tries=60
until /usr/bin/kubestrap token list --kubeconfig "$admin" >/dev/null 2>&1 || [ "$tries" = 0 ]; do sleep 2; tries=$((tries - 1)); done
echo upgrade >/var/lib/kubestrap/unfinished
/usr/bin/kubestrap upgrade node --kubeconfig "$admin" "$@"
code=$?
[ "$code" = 0 ] && rm -f /var/lib/kubestrap/unfinished
exit $code
)sh";

constexpr auto patience = std::chrono::hours(1); // kubestrap has its own, for whatever it waits for
/// Of a token, and of the files that control planes share: two hours, of which a join that begins may take its patience.
constexpr std::string_view lifetime = "2h";
constexpr auto usable = std::chrono::minutes(45);
constexpr std::chrono::seconds gatePatience = std::chrono::minutes(3), pause = std::chrono::seconds(3);

/// Gates of an upgrade that open by themselves: the node before is not back yet.
constexpr std::string_view passing[] = {"ClusterAnswers", "ControlPlaneNodesReady", "NodesReady", "EtcdHealthy"};

bool passes(const Error& error) {
  return error.exitCode() == ExitCode::refused && std::ranges::any_of(passing, [&](std::string_view gate) { return error.message().find(gate) != std::string::npos; });
}

/// Of this thread: what a machine is asked besides, like a token for another, is heard of that step.
thread_local const phases::fleet::Step* performed = nullptr;
struct Performing {
  explicit Performing(const phases::fleet::Step& step) { performed = &step; }
  ~Performing() { performed = nullptr; }
};

void withPatience(std::stop_token stop, const std::function<void()>& step) {
  SystemClock clock(std::move(stop));
  for (const auto began = clock.now();;) {
    try {
      return step();
    } catch (const Error& error) {
      if (!passes(error) || clock.now() - began > gatePatience) throw;
    }
    clock.sleep(pause);
  }
}

} // namespace

ClusterSteps::~ClusterSteps() {
  for (const auto& id : tokens_) {
    try {
      kubestrap(asked_, {"token", "delete", id});
    } catch (const Error& error) { // it ends by itself
      log::info(1, "the token {} could not be deleted: {}", id, error.message());
    }
  }
}

/// A clock that was set back in between says nothing.
bool ClusterSteps::lasts(TimePoint made) const {
  const auto age = now_() - made;
  return age >= Duration::zero() && age < usable;
}

Value ClusterSteps::kubestrap(const std::string& host, const std::vector<std::string>& words, const std::vector<Value>& documents, std::string_view marked,
                              std::initializer_list<int> allowed) {
  nodes::Errand errand{.script = std::string(runScript), .arguments = {std::string(marked)}, .input = streamOf(documents), .timeout = patience};
  errand.arguments.insert(errand.arguments.end(), words.begin(), words.end());
  return answer(host, std::move(errand), allowed);
}

Value ClusterSteps::answer(const std::string& host, nodes::Errand errand, std::initializer_list<int> allowed) {
  errand.arguments.insert(errand.arguments.end(), {"-o", "json"});
  errand.feed.errors = [&, step = performed](std::string_view line) { // in whichever thread
    if (step) view_.hears(step->host, std::string(phases::fleet::nameOf(step->task)), line);
    log::info(1, "{}: {}", host, line);
  };
  const auto ended = fleet_.run(host, errand);
  if (std::ranges::find(allowed, ended.exitCode) == allowed.end()) throw errorOf(ended.errors, ended.exitCode);
  return parseJson(ended.output, host + "'s answer");
}

void ClusterSteps::copy(const phases::fleet::Step& step) {
  const auto& cargo = fleet_.cargo(step.task, step.machine);
  const auto far = [&](std::uint64_t read, std::uint64_t of) { view_.says(step.host, std::string(phases::fleet::nameOf(step.task)), fmt::format("{} of {}", humanSize(read), humanSize(of))); };
  const auto ended = fleet_.run(step.host, {.script = std::string(copyScript), .arguments = {cargo.to.string(), cargo.mode, cargo.digest}, .input = {}, .file = cargo.from, .timeout = patience, .progress = far});
  if (ended.exitCode != 0) throw errorOf(ended.errors, ended.exitCode);
}

/// How the cluster is found and trusted, with a token of this run's own.
Value ClusterSteps::discovery() {
  const std::lock_guard lock(mutex_);
  if (!words_ || !lasts(words_->made)) {
    const auto made = now_();
    const auto token = while_("asking " + asked_ + " for a token",
                              [&] { return kubestrap(asked_, {"token", "create", "--ttl", std::string(lifetime), "--description", "machines that kubestrap cluster apply lets join"}); });
    const auto secret = stringAt(token, "token");
    tokens_.push_back(secret.substr(0, secret.find('.')));
    words_ = Words{{{"bootstrapToken", {{"apiServerEndpoint", stringAt(token, "apiServerEndpoint")}, {"token", secret}, {"caCertHashes", token.at("caCertHashes")}}}}, made};
  }
  return words_->discovery;
}

/// Of the files that control planes share. They join one after the other, so none is reading what lies there under an older key.
std::string ClusterSteps::certificateKey() {
  const std::lock_guard lock(mutex_);
  if (certificateKey_.empty() || !lasts(shared_)) {
    const auto made = now_();
    SystemEntropy entropy;
    auto key = config::generateCertificateKey([&](std::size_t count) { return entropy.bytes(count); });
    auto documents = config::initDocuments(fleet_.file(), *fleet_.file().find(asked_));
    documents.front()["certificateKey"] = key.reveal();
    while_("letting " + asked_ + " share the certificates", [&] { kubestrap(asked_, {"init", "phase", "upload-certs", "--upload-certs", "--skip-certificate-key-print", "--config", "-"}, documents); });
    certificateKey_ = std::move(key);
    shared_ = made;
  }
  return certificateKey_.reveal();
}

void ClusterSteps::join(const config::InventoryHost& host) {
  const auto found = discovery();
  const auto document = config::joinDocument(fleet_.file(), host, found, host.controlPlane() ? certificateKey() : "");
  std::vector<std::string> words{"join", "--config", "-"};
  offline(fleet_.file(), words);
  kubestrap(host.name, words, {document}, "join");
}

std::vector<std::string> ClusterSteps::upgradeFlags(Task task) const {
  const auto& file = fleet_.file();
  return upgradeWords(file, task, config::bringsBundle(file.inventory) ? std::string(bundlePlace) : "", alone_);
}

void ClusterSteps::upgradeNode(const config::InventoryHost& host) {
  nodes::Errand errand{.script = std::string(upgradeNodeScript), .arguments = upgradeFlags(Task::upgradeNode), .input = {}, .timeout = patience};
  if (!host.controlPlane()) {
    const auto admin = fleet_.run(asked_, {.script = "cat /etc/kubernetes/admin.conf", .arguments = {}, .input = {}});
    if (admin.exitCode != 0) throw errorOf(admin.errors, admin.exitCode);
    errand.input = admin.output;
  }
  answer(host.name, std::move(errand), {0});
}

void ClusterSteps::perform(const phases::fleet::Step& step) {
  const Performing performing(step);
  const auto* host = fleet_.file().find(step.host);
  switch (step.task) {
  case Task::copyBinary:
  case Task::copyImage:
  case Task::copyBundle: return copy(step);
  case Task::load: kubestrap(step.host, {"bundle", "load", std::string(bundlePlace), "--without", "kubestrap"}); return;
  case Task::loadAhead: kubestrap(step.host, {"bundle", "load", std::string(bundlePlace), "--without", "kubelet,kubestrap"}); return;
  case Task::prepare: // What it cannot put right is init's and join's to refuse, who know more.
    kubestrap(step.host, preflightWords(fleet_.file(), *host, !isThere_ && host == &fleet_.file().first()), config::initDocuments(fleet_.file(), *host), {},
              {0, static_cast<int>(ExitCode::refused)});
    return;
  case Task::init: {
    std::vector<std::string> words{"init", "--skip-token-print", "--skip-certificate-key-print", "--config", "-"};
    if (fleet_.file().selfHosted) words.emplace_back("--self-hosted");
    offline(fleet_.file(), words);
    kubestrap(step.host, words, config::initDocuments(fleet_.file(), *host), "init");
    const std::lock_guard lock(mutex_);
    if (asked_.empty()) asked_ = step.host;
    return;
  }
  case Task::upgrade: {
    std::vector<std::string> words{"upgrade", "apply", fleet_.file().version, "--yes"};
    for (auto& word : upgradeFlags(step.task)) words.push_back(std::move(word));
    return withPatience(fleet_.stop(), [&] { kubestrap(step.host, words, {}, "upgrade"); });
  }
  case Task::upgradeNode: return withPatience(fleet_.stop(), [&] { upgradeNode(*host); });
  case Task::join: return join(*host);
  case Task::pivot: kubestrap(step.host, {"pivot"}); return;
  case Task::forget: kubestrap(asked_, {"node", "remove", step.host, "--yes"}); return;
  case Task::settings: {
    auto words = settingsCommand(fleet_.file());
    words.emplace_back("--yes");
    kubestrap(step.host, words, config::settingsDocuments(fleet_.file()));
    return;
  }
  case Task::settingsNode: kubestrap(step.host, settingsNodeCommand(fleet_.file())); return;
  case Task::addons: kubestrap(step.host, addonsCommand(fleet_.file()), {*config::addonsDocument(fleet_.file())}); return;
  case Task::label: kubestrap(asked_, {"node", "label", step.host, "--file", "-"}, {{{"labels", host->labels}}}); return;
  case Task::taint: {
    const auto taints = config::taintsOf(fleet_.file(), *host);
    kubestrap(asked_, {"node", "taint", step.host, "--file", "-"}, {Value{{"taints", taints ? Value(*taints) : Value()}}});
    return;
  }
  case Task::remove: kubestrap(asked_, {"node", "remove", step.host, "--yes", "--drain"}); return;
  case Task::reset: kubestrap(step.host, {"reset", "--force"}); return;
  }
}

} // namespace kubestrap::cmd
