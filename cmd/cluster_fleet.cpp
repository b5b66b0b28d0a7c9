#include "cmd/cluster_fleet.hpp"

#include "archive/reader.hpp"
#include "certs/x509.hpp"
#include "cmd/bundle.hpp"
#include "cmd/globals.hpp"
#include "cmd/live_view.hpp"
#include "cmd/machine.hpp"
#include "cmd/wishes.hpp"
#include "config/addons.hpp"
#include "phases/taints.hpp"
#include "support/digest.hpp"
#include "support/encoding.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include <sys/auxv.h>

namespace kubestrap::cmd {

namespace {

namespace fs = std::filesystem;
using phases::fleet::HostSeen;
using phases::fleet::SettingsSeen;
using phases::fleet::Task;

/// One question for all that is to be known; its arguments are names of add-ons. Only what cannot break JSON is put into it.
constexpr std::string_view lookScript = R"sh(
digest() { [ -f "$1" ] && sha256sum <"$1" | cut -d ' ' -f 1; }
text() { [ -f "$1" ] && base64 <"$1" | tr -d '\n'; }
is() { if [ -e "$1" ]; then printf true; else printf false; fi; }
begun=$(cat /var/lib/kubestrap/unfinished 2>/dev/null)
case $begun in init|join|upgrade) ;; *) begun= ;; esac
apiServer=$(sed -n 's,.*image: .*/kube-apiserver:\(v[0-9A-Za-z.-]*\).*,\1,p' /etc/kubernetes/manifests/kube-apiserver.yaml 2>/dev/null | head -n 1)
advertised=$(sed -n 's,.*advertise-address\.endpoint: [^0-9A-Fa-f:]*\([0-9A-Fa-f.:]*\).*:[0-9]*.*,\1,p' /etc/kubernetes/manifests/kube-apiserver.yaml 2>/dev/null | head -n 1)
busy=null
pid=$(sed -n 's/.*"pid":\([0-9]\{1,\}\).*/\1/p' /run/lock/kubestrap.lock 2>/dev/null)
[ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = kubestrap ] && busy=$(cat /run/lock/kubestrap.lock)
node=$(is /etc/kubernetes/kubelet.conf)
bundle=
[ $node = true ] && [ -z "$begun" ] || bundle=$(digest /var/lib/kubestrap/cluster.bundle)
manifests=
for addon; do manifests="$manifests,\"$addon\":\"$(digest "/var/lib/kubestrap/manifests/$addon.yaml")\""; done
status=
[ "$busy" = null ] && [ -e /etc/kubernetes/admin.conf ] && status=$(kubestrap status -o json 2>/dev/null)
printf '{"machine":"%s","kernel":"%s","binary":"%s","image":"%s","bundle":"%s","authority":"%s","apiServer":"%s","advertised":"%s","node":%s,"controlPlane":%s,"begun":"%s","busy":%s,"manifests":{%s},"status":%s}\n' \
  "$(uname -m)" "$(uname -sr)" "$(digest /usr/bin/kubestrap)" "$(digest /usr/lib/kubestrap/kubestrap-image.tar)" "$bundle" "$(text /etc/kubernetes/pki/ca.crt)" "$apiServer" \
  "$advertised" "$node" "$(is /etc/kubernetes/admin.conf)" "$begun" "$busy" "${manifests#,}" "${status:-null}"
)sh";

/// What a program begins with.
std::string headOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(fmt::format("cannot read {}", path.string()), "paths in the file are from its own folder", ExitCode::usage);
  std::string head(64, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(file.gcount()));
  return head;
}

std::string digestOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(fmt::format("cannot read {}", path.string()), "paths in the file are from its own folder", ExitCode::usage);
  Sha256 digest;
  std::string piece(1 << 16, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) digest.add(std::string_view(piece).substr(0, static_cast<std::size_t>(file.gcount())));
  if (file.bad()) throw Error(fmt::format("cannot read {}", path.string()));
  return hex(digest.digest());
}

/// The program that runs. Not by /proc: what keeps keys out of core files keeps its own user from reading that.
fs::path ownProgram() {
  const auto* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN)); // the kernel's own word for it
  return fs::absolute(name ? name : "/usr/bin/kubestrap");
}

std::string textOf(const std::string& fileName) {
  if (fileName == "-") return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  std::ifstream file(fileName, std::ios::binary);
  if (!file) throw Error(fmt::format("there is no file {} that can be read", fileName), "name it with --file", ExitCode::usage);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

constexpr auto comparing = std::chrono::minutes(15); // other control planes may be asked by a pod each

/// By their public keys: text around certificates, ends of lines and a second authority make no other cluster of it.
std::vector<std::string> authoritiesIn(const std::string& encoded) {
  std::vector<std::string> pins;
  const auto pem = fromBase64(encoded);
  if (!pem || pem->empty()) return {};
  try {
    for (const auto& certificate : certs::X509Certificate::parseAll(*pem, "ca.crt")) pins.push_back(certificate.publicKeyPin());
  } catch (const Error&) {
    return {sha256Hex(*pem)}; // what cannot be read is like nobody's
  }
  return pins;
}

/// With nothing under way on the machine that speaks for the cluster.
bool mayBeAsked(const FleetLook& look) {
  const auto& host = look.seen.of(look.seen.asked);
  return !look.seen.asked.empty() && host.begun.empty() && host.busy.empty();
}

} // namespace

config::ClusterFile readClusterFile(const std::string& fileName, std::vector<std::string>& warnings) {
  SystemEntropy entropy;
  host::LocalHost host(globals().rootfs);
  const auto documents = withAuditPolicy(parseYaml(textOf(fileName), fileName == "-" ? "standard input" : fileName), host);
  auto file = config::loadClusterFile(documents, [&](std::size_t count) { return entropy.bytes(count); }, warnings);
  const auto* home = std::getenv("HOME");
  config::resolvePaths(file.inventory, fileName == "-" ? fs::current_path() : fs::absolute(fileName).parent_path(), home ? home : "");
  return file;
}

config::ClusterFile readClusterFile(const std::string& fileName) {
  std::vector<std::string> warnings;
  auto file = readClusterFile(fileName, warnings);
  for (const auto& warning : warnings) log::warn(warning);
  return file;
}

std::string imageFor(const config::Inventory& inventory, const fs::path& binary) {
  if (!inventory.image.empty()) return inventory.image;
  for (const auto& place : {binary.parent_path(), fs::path("/usr/lib/kubestrap")})
    if (const auto image = place / "kubestrap-image.tar"; fs::exists(image)) return image;
  return {};
}

void atOnce(std::size_t count, const std::function<void(std::size_t)>& body) {
  std::atomic<std::size_t> coming = 0;
  std::mutex mutex;
  std::exception_ptr first;
  {
    std::vector<std::jthread> threads;
    for (std::size_t each = 0; each < std::min(count, fleetWidth); ++each)
      threads.emplace_back([&] {
        for (std::size_t at; (at = coming++) < count;) {
          try {
            body(at);
          } catch (...) {
            const std::lock_guard lock(mutex);
            if (!first) first = std::current_exception();
            coming = count;
          }
        }
      });
  }
  if (first) std::rethrow_exception(first);
}

HostSeen hostSeen(const Value& answer) {
  const auto is = [&](const char* member) { return answer.value(member, false); };
  HostSeen seen{.machine = stringAt(answer, "machine"), .kernel = stringAt(answer, "kernel"), .binary = stringAt(answer, "binary"), .image = stringAt(answer, "image"),
                .bundle = stringAt(answer, "bundle"), .authorities = authoritiesIn(stringAt(answer, "authority")), .node = is("node"), .controlPlane = is("controlPlane"),
                .advertised = stringAt(answer, "advertised"), .apiServer = stringAt(answer, "apiServer"), .begun = stringAt(answer, "begun"), .busy = stringAt(answer, "busy.command")};
  if (const auto* manifests = find(answer, "manifests")) seen.manifests = manifests->get<std::map<std::string, std::string>>();
  return seen;
}

std::string streamOf(const std::vector<Value>& documents) {
  std::string text;
  for (const auto& document : documents) text += "---\n" + document.dump() + "\n";
  return text;
}

Error errorOf(const std::string& errors, int code) {
  constexpr std::size_t wordsKept = 12;
  std::vector<std::string> said;
  std::string hint;
  for (const auto& line : split(trim(errors), '\n')) {
    const auto text = trim(line);
    if (text.empty() || text.starts_with('{') || text.starts_with("warning: ")) continue;
    if (text.starts_with("try: ")) hint = text.substr(5);
    else said.emplace_back(text.starts_with("error: ") ? text.substr(7) : text);
  }
  if (said.size() > wordsKept) said.erase(said.begin(), said.end() - wordsKept);
  return Error(said.empty() ? fmt::format("it ended with {}", code) : kubestrap::join(said, "; "), hint, code == static_cast<int>(ExitCode::refused) ? ExitCode::refused : ExitCode::failed);
}

void offline(const config::ClusterFile& file, std::vector<std::string>& words) {
  if (file.inventory.offline) words.emplace_back("--offline");
}

std::vector<std::string> preflightWords(const config::ClusterFile& file, const config::InventoryHost& host, bool begins) {
  std::vector<std::string> words{"preflight", begins ? "init" : "join", "--fix", "--config", "-"};
  if (host.controlPlane() && !begins) words.emplace_back("--control-plane");
  offline(file, words);
  return words;
}

std::vector<std::string> upgradeWords(const config::ClusterFile& file, Task task, const std::string& bundle, PodsAlone alone) {
  std::vector<std::string> words;
  if (!bundle.empty()) words = {"--bundle", bundle, "--bundle-without", "kubestrap"};
  offline(file, words);
  const auto init = config::initDocuments(file, file.first()).front();
  if (const auto* ignored = find(init, "nodeRegistration.ignorePreflightErrors")) words.insert(words.end(), {"--ignore-preflight-errors", join(ignored->get<std::vector<std::string>>(), ",")});
  // Of `upgrade apply` it means the rules for versions, and no node is drained there.
  if (task == Task::upgradeNode && alone == PodsAlone::ended) words.emplace_back("--force");
  return words;
}

namespace {

std::vector<std::string> withPatches(std::vector<std::string> words, const config::ClusterFile& file) {
  const auto init = config::initDocuments(file, file.first()).front();
  if (const auto folder = stringAt(init, "patches.directory"); !folder.empty()) words.insert(words.end(), {"--patches", folder});
  return words;
}

} // namespace

std::vector<std::string> settingsCommand(const config::ClusterFile& file) { return withPatches({"reconfigure", "-f", "-", "--merge"}, file); }
std::vector<std::string> settingsNodeCommand(const config::ClusterFile& file) { return withPatches({"reconfigure", "node"}, file); }

SettingsSeen settingsSeen(const host::CommandResult& ended) {
  SettingsSeen seen;
  if (ended.exitCode != 0) {
    const auto error = errorOf(ended.errors, ended.exitCode);
    (error.exitCode() == ExitCode::refused ? seen.refused : seen.failed) = error.message();
    seen.hint = error.hint();
    return seen;
  }
  const auto answer = parseJson(ended.output, "the answer of reconfigure");
  const auto changes = answer.value("changes", Value::array());
  // Settings are what the cluster keeps: it follows at the end of all. What else would change is another kubestrap's, or a roll's that has not come to its end.
  constexpr std::string_view kept[] = {"ConfigMap kube-system/kubeadm-config", "ConfigMap kube-system/kubestrap-config"};
  if (std::ranges::none_of(changes, [&](const Value& each) { return stringAt(each, "verb") != "keep" && std::ranges::find(kept, stringAt(each, "subject")) != std::end(kept); })) return seen;
  for (const auto& step : answer.value("steps", Value::array())) seen.steps.push_back(stringAt(step, "name"));
  return seen;
}

std::vector<std::string> addonsCommand(const config::ClusterFile& file) {
  std::vector<std::string> words{"addons", "apply", "--config", "-"};
  offline(file, words);
  return words;
}

std::vector<std::string> addonsByBundle(const config::ClusterFile& file) {
  std::vector<std::string> names;
  const auto document = config::addonsDocument(file);
  for (const auto& addon : document ? document->at("addons") : Value::array())
    if (stringAt(addon, "source").empty() && std::ranges::find(config::addonRows(), stringAt(addon, "name"), &config::AddonRow::name) != config::addonRows().end()) names.push_back(stringAt(addon, "name"));
  return names;
}

SettingsSeen addonsSeen(const host::CommandResult& ended) {
  SettingsSeen seen;
  if (ended.exitCode != 0) return settingsSeen(ended);
  const auto answer = parseJson(ended.output, "the answer of addons");
  for (const auto& name : answer.value("notInConfiguration", Value::array())) seen.beyond.push_back(name.get<std::string>());
  if (!answer.value("changed", false)) return seen;
  constexpr std::string_view phase = "addon/";
  for (const auto& change : answer.value("changes", Value::array())) {
    const auto of = stringAt(change, "phase"), verb = stringAt(change, "verb");
    if (verb == "keep" || verb == "wait") continue;
    const auto name = of.starts_with(phase) ? of.substr(phase.size()) : "the cluster's configuration";
    if (std::ranges::find(seen.steps, name) == seen.steps.end()) seen.steps.push_back(name);
  }
  return seen;
}

void learnNodes(const config::ClusterFile& file, FleetLook& look) {
  for (const auto& host : file.inventory.hosts) {
    const auto status = look.status.find(host.name);
    if (!host.controlPlane() || status == look.status.end() || !look.seen.asked.empty()) continue;
    const auto* answers = find(status->second, "apiServer.answers");
    const auto* nodes = find(status->second, "nodes");
    if (!answers || *answers != Value(true) || !nodes || !nodes->is_array()) continue;
    look.seen.asked = host.name;
    look.seen.version = stringAt(status->second, "cluster.version");
    look.seen.hosted = stringAt(status->second, "cluster.layout") == "hosted";
    look.seen.selfHosted = stringAt(status->second, "cluster.hosting") == "self";
    for (const auto& node : *nodes) {
      phases::fleet::NodeSeen seen{.name = stringAt(node, "name"), .version = stringAt(node, "kubelet"), .address = stringAt(node, "address"),
                                   .controlPlane = stringAt(node, "role") == "control-plane", .ready = node.value("ready", false)};
      if (const auto* labels = find(node, "labels")) seen.labels.all = labels->get<std::map<std::string, std::string>>();
      seen.labels.given = split(stringAt(node, "givenLabels"), ',');
      if (const auto* addresses = find(node, "addresses")) seen.addresses = addresses->get<std::vector<std::string>>();
      if (const auto* taints = find(node, "taints")) seen.taints = phases::fleet::Labels{phases::fleet::taintsByName(*taints), split(stringAt(node, "givenTaints"), ',')};
      seen.settingsFollow = node.value("settingsFollow", false);
      look.seen.nodes.push_back(std::move(seen));
    }
  }
}

Fleet::Fleet(const std::string& fileName, std::stop_token stop)
    : stop_(stop), file_(readClusterFile(fileName)), ssh_(file_.inventory.ssh ? file_.inventory.ssh->configFile : "", stop) {}

phases::fleet::Wish Fleet::wish(bool prune) {
  const auto& inventory = file_.inventory;
  phases::fleet::Wish wish{.version = file_.version, .selfHosted = file_.selfHosted, .addons = config::addonsDocument(file_).has_value(), .prune = prune};
  for (const auto& host : inventory.hosts) {
    wish.hosts.push_back({host.name, host.address, host.controlPlane(), host.labels});
    wish.hosts.back().ownNodeIp = config::saysNodeIp(file_);
    if (const auto taints = config::taintsOf(file_, host)) wish.hosts.back().taints = phases::fleet::taintsByName(*taints);
  }
  const auto binary = inventory.binary.empty() ? ownProgram() : fs::path(inventory.binary);
  const auto architecture = inventory.binary.empty() ? archive::ownArchitecture() : archive::programArchitecture(headOf(binary)).value_or("");
  wish.common = brought({binary, imageFor(inventory, binary), inventory.bundle}, "", architecture, wish.notes);
  if (!architecture.empty()) wish.machine = archive::kernelName(architecture);
  for (const auto& [name, each] : inventory.architectures) {
    if (const auto foreign = archive::foreignProgram(headOf(each.binary), name)) throw Error(fmt::format("{}: {}", each.binary, *foreign), fmt::format("architectures.{}.binary in the file", name), ExitCode::usage);
    const auto machine = archive::kernelName(name);
    wish.others[machine] = brought({each.binary, each.image, each.bundle}, machine, name, wish.notes);
  }
  return wish;
}

phases::fleet::Brought Fleet::brought(const Sources& from, const std::string& machine, const std::string& architecture, std::vector<std::string>& notes) {
  phases::fleet::Brought brought;
  const auto take = [&](Task task, const fs::path& what, std::string_view to, const char* mode) {
    auto& cargo = cargo_[{task, machine}];
    cargo = {what, to, mode, digestOf(what)};
    return phases::fleet::Load{cargo.digest};
  };
  brought.binary = take(Task::copyBinary, from.binary, "/usr/bin/kubestrap", "755");
  if (!from.image.empty()) brought.image = take(Task::copyImage, from.image, "/usr/lib/kubestrap/kubestrap-image.tar", "644");
  if (from.bundle.empty()) return brought;
  brought.bundle = take(Task::copyBundle, from.bundle, bundlePlace, "600");
  const archive::Reader bundle(from.bundle);
  if (!architecture.empty() && bundle.lock().architecture != architecture)
    throw Error(fmt::format("{} is for {}, and {} for {}", from.bundle, bundle.lock().architecture, from.binary.string(), architecture), "architectures in the file's Cluster has a program and a bundle for each", ExitCode::usage);
  if (const auto* program = bundle.lock().find("bin/kubestrap"); program && !brought.binary.is(program->sha256))
    notes.push_back(fmt::format("the bundle has another kubestrap than {}, which is the one that nodes get{}", from.binary.string(), brought.image.wanted() ? "" : "; lay its kubestrap-image.tar beside it"));
  if (const auto& version = bundle.lock().kubernetesVersion; !version.empty() && !file_.version.empty() && version != file_.version)
    notes.push_back(fmt::format("{} is for Kubernetes {}, and the file says {}: images of {} have to be on the machines, or are fetched", from.bundle, version, file_.version, file_.version));
  if (bundle.lock().find("bin/kubelet")) brought.kubelet = bundle.lock().kubernetesVersion;
  for (const auto& addon : addonsByBundle(file_))
    if (const auto* manifest = bundle.lock().find(fmt::format("manifests/{}.yaml", addon))) brought.manifests[addon] = manifest->sha256;
  return brought;
}

const Cargo& Fleet::cargo(Task task, const std::string& machine) const { return cargo_.at({task, machine}); }

void Fleet::judgeBundle(const phases::fleet::Plan& plan) {
  const auto& inventory = file_.inventory;
  for (const auto& step : plan.steps) {
    if (step.task != Task::copyBundle && step.task != Task::load) continue;
    const auto own = std::ranges::find_if(inventory.architectures, [&](const auto& each) { return archive::kernelName(each.first) == step.machine; });
    const auto& bundle = own == inventory.architectures.end() ? inventory.bundle : own->second.bundle;
    if (!judged_.insert(bundle).second) continue;
    host::LocalHost host(globals().rootfs, stop_);
    archive::NoSink none;
    verifiedWhole({bundle, {}}, trustedKeys(host), none);
  }
}

nodes::Target Fleet::targetOf(const config::InventoryHost& host) const {
  const auto ssh = config::sshOf(file_.inventory, host);
  return {.name = host.name, .host = ssh.host, .user = ssh.user, .identityFile = ssh.identityFile, .port = ssh.port};
}

host::CommandResult Fleet::run(const std::string& host, const nodes::Errand& errand) const { return ssh_.run(targetOf(*file_.find(host)), errand); }

FleetLook Fleet::look() const {
  const std::string looking = "is looked at";
  FleetLook look;
  LiveView view;
  std::mutex mutex;
  const auto& hosts = file_.inventory.hosts;
  const auto addons = addonsByBundle(file_);
  atOnce(hosts.size(), [&](std::size_t at) {
    HostSeen seen;
    Value status;
    view.begins(hosts[at].name, looking);
    try {
      const auto said = run(hosts[at].name, {.script = std::string(lookScript), .arguments = addons, .input = {}, .timeout = std::chrono::minutes(2)});
      const auto answer = parseJson(said.output, hosts[at].name + "'s answer");
      seen = hostSeen(answer);
      status = answer.value("status", Value());
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      seen.unreachable = error.message();
      seen.hint = error.hint();
    }
    view.ends(hosts[at].name, looking);
    const std::lock_guard lock(mutex);
    if (status.is_object()) look.status[hosts[at].name] = std::move(status);
    look.seen.hosts[hosts[at].name] = std::move(seen);
  });
  learnNodes(file_, look);
  return look;
}

void Fleet::compare(FleetLook& look) const {
  if (!mayBeAsked(look)) return;
  if (look.seen.selfHosted || !look.seen.hosted) look.seen.settings = compared(look.seen.asked, "settings are compared", settingsCommand(file_), config::settingsDocuments(file_), settingsSeen);
  if (const auto addons = config::addonsDocument(file_)) look.seen.addons = compared(look.seen.asked, "add-ons are compared", addonsCommand(file_), {*addons}, addonsSeen);
}

SettingsSeen Fleet::compared(const std::string& host, const std::string& what, std::vector<std::string> words, const std::vector<Value>& documents, SettingsSeen (&read)(const host::CommandResult&)) const {
  LiveView view;
  view.begins(host, what);
  try {
    words.insert(words.end(), {"--dry-run", "-o", "json"});
    nodes::Errand errand{.script = "exec kubestrap \"$@\"", .arguments = std::move(words), .input = streamOf(documents), .timeout = comparing};
    errand.feed.errors = [&](std::string_view line) { view.hears(host, what, line); };
    return read(run(host, errand));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    return {.steps = {}, .refused = {}, .failed = error.message(), .hint = error.hint()};
  }
}

} // namespace kubestrap::cmd
