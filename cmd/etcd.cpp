// etcd: its members, how they do, and what an operator does with them by hand.
#include "cmd/commands.hpp"
#include "cmd/etcd_access.hpp"
#include "cmd/etcd_snapshot.hpp"
#include "cmd/output.hpp"
#include "cmd/own_cluster.hpp"

#include "etcd/health.hpp"
#include "support/log.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kubestrap::cmd {

namespace {

struct EtcdOptions {
  std::optional<std::string> kubeconfig, dataDir;
  bool compact = false, disarm = false, raise = false;
};
using Options = std::shared_ptr<EtcdOptions>;
using Arguments = std::vector<std::string>;

/// The members, by whatever way there is: it works without an API server.
struct Reached {
  explicit Reached(const EtcdOptions& options) : machine(globals().rootfs) {
    config::Cluster cluster;
    std::optional<kube::Client> api;
    const auto path = options.kubeconfig ? std::filesystem::absolute(*options.kubeconfig) : config::paths::adminConf;
    try {
      if (const auto text = machine.host().read(path)) {
        api.emplace(machine.http(), kube::parseKubeconfig(*text, path.string()));
        cluster = storedCluster(*api).value_or(cluster);
      }
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      log::info(1, "no API server answers: {}", error.message());
      api.reset();
    }
    client.emplace(connectEtcd(machine, cluster, api ? &*api : nullptr));
    members = etcd::look(*client);
    std::ranges::sort(members, {}, [](const auto& each) { return each.member.name; });
  }

  /// The one of that name or id.
  const etcd::MemberHealth& named(const std::string& name) const {
    for (const auto& each : members)
      if (each.member.name == name || each.member.hexId() == name) return each;
    std::vector<std::string> names;
    for (const auto& each : members) names.push_back(each.member.name.empty() ? each.member.hexId() : each.member.name);
    throw Error(fmt::format("etcd has no member {}", name), "it has " + join(names, ", "), ExitCode::usage);
  }
  const etcd::MemberHealth& leader() const {
    for (const auto& each : members)
      if (each.leads()) return each;
    throw Error("no member of etcd leads", "kubestrap status says what its members lack");
  }

  Machine machine;
  std::optional<etcd::Client> client;
  std::vector<etcd::MemberHealth> members;
};

std::string healthOf(const etcd::MemberHealth& each) {
  if (!each.status) return "silent: " + each.silent;
  if (!each.alarms.empty()) return join(each.alarms, ",");
  return each.status->leaderId ? "healthy" : "no leader";
}

std::string mebibytes(std::int64_t octets) { return fmt::format("{:.1f} MiB", static_cast<double>(octets) / (1 << 20)); }

std::string roleOf(const etcd::MemberHealth& each) { return each.leads() ? "leader" : each.member.learner ? "learner" : "voter"; }

Value asValue(const std::vector<etcd::MemberHealth>& members) {
  Value list = Value::array();
  for (const auto& each : members) {
    Value item{{"name", each.member.name}, {"id", each.member.hexId()}, {"role", roleOf(each)}, {"peerUrls", each.member.peerUrls},
               {"clientUrls", each.member.clientUrls}, {"health", each.status ? healthOf(each) : "silent"}, {"message", each.silent}, {"alarms", each.alarms}};
    if (each.status)
      item["status"] = {{"version", each.status->version}, {"raftTerm", each.status->raftTerm}, {"raftIndex", each.status->raftIndex}, {"appliedIndex", each.status->appliedIndex},
                        {"size", each.status->dbSize}, {"inUse", each.status->dbSizeInUse}, {"quota", each.status->quota}};
    list.push_back(std::move(item));
  }
  return list;
}

void print(const Reached& reached, const std::vector<std::vector<std::string>>& rows) {
  const auto as = format(globals());
  if (as == Format::text) return fmt::print("{}", table(rows));
  auto document = result("EtcdMembers");
  document["members"] = asValue(reached.members);
  printResult(document, as);
}

ExitCode showStatus(const EtcdOptions& options) {
  const Reached reached(options);
  std::vector<std::vector<std::string>> rows{{"MEMBER", "ROLE", "VERSION", "SIZE", "IN USE", "TERM", "INDEX", "HEALTH"}};
  for (const auto& each : reached.members) {
    std::vector<std::string> row{each.member.name, roleOf(each), "-", "-", "-", "-", "-", healthOf(each)};
    if (const auto& status = each.status)
      row = {each.member.name, roleOf(each), status->version, mebibytes(status->dbSize), mebibytes(status->dbSizeInUse), std::to_string(status->raftTerm), std::to_string(status->raftIndex), healthOf(each)};
    rows.push_back(std::move(row));
  }
  print(reached, rows);
  return ExitCode::done;
}

ExitCode showMembers(const EtcdOptions& options) {
  const Reached reached(options);
  std::vector<std::vector<std::string>> rows{{"MEMBER", "ID", "ROLE", "PEER URL", "CLIENT URL"}};
  for (const auto& each : reached.members)
    rows.push_back({each.member.name, each.member.hexId(), roleOf(each), join(each.member.peerUrls, ","), join(each.member.clientUrls, ",")});
  print(reached, rows);
  return ExitCode::done;
}

void tell(std::string_view kind, const std::string& sentence, Value more = Value::object()) {
  const auto as = format(globals());
  if (as == Format::text) return fmt::print(stderr, "{}\n", sentence);
  auto document = result(kind);
  for (auto& [name, value] : more.items()) document[name] = value;
  printResult(document, as);
}

ExitCode moveLeader(const EtcdOptions& options, const Arguments& arguments) {
  if (arguments.size() != 1) throw Error("name the member that shall lead", "kubestrap etcd move-leader NAME", ExitCode::usage);
  Reached reached(options);
  const auto& leader = reached.leader();
  const auto& target = reached.named(arguments[0]);
  if (target.leads()) {
    tell("EtcdLeader", fmt::format("{} leads already", target.member.name), {{"leader", target.member.name}, {"changed", false}});
    return ExitCode::done;
  }
  if (target.member.learner) throw Error(fmt::format("{} is a learner, which cannot lead", target.member.name), {}, ExitCode::refused);
  if (!target.status) throw Error(fmt::format("{} does not answer: {}", target.member.name, target.silent), {}, ExitCode::refused);
  reached.client->moveLeader(leader.member.clientUrls.front(), target.member.id);
  tell("EtcdLeader", fmt::format("{} leads, in place of {}", target.member.name, leader.member.name), {{"leader", target.member.name}, {"changed", true}});
  return ExitCode::done;
}

/// A member stands still while it is at it: one at a time, the leader last, and only when all are well.
ExitCode defragment(const EtcdOptions& options, const Arguments& arguments) {
  Reached reached(options);
  std::vector<const etcd::MemberHealth*> chosen;
  for (const auto& name : arguments) chosen.push_back(&reached.named(name));
  if (chosen.empty())
    for (const auto& each : reached.members) chosen.push_back(&each);
  for (const auto& each : reached.members)
    if (!each.status) throw Error(fmt::format("{} does not answer: {}", each.member.name, each.silent), "a member that is defragmented stands still: bring the others up first", ExitCode::refused);
  std::ranges::stable_sort(chosen, {}, &etcd::MemberHealth::leads);
  if (options.compact || options.disarm) reached.client->compact();
  Value done = Value::array();
  for (const auto* each : chosen) {
    const auto& url = each->member.clientUrls.front();
    reached.client->defragment(url);
    const auto after = reached.client->status(url);
    done.push_back({{"name", each->member.name}, {"before", each->status->dbSize}, {"after", after.dbSize}});
    if (format(globals()) == Format::text) fmt::print(stderr, "{}: {} before, {} now\n", each->member.name, mebibytes(each->status->dbSize), mebibytes(after.dbSize));
  }
  if (options.disarm)
    for (const auto& alarm : reached.client->alarms())
      if (alarm.kind == "NOSPACE") reached.client->disarm(alarm);
  if (const auto as = format(globals()); as != Format::text) {
    auto document = result("EtcdDefragmentation");
    document["members"] = std::move(done);
    printResult(document, as);
  }
  return ExitCode::done;
}

std::string fileOf(const Arguments& arguments, std::string_view command) {
  if (arguments.size() != 1) throw Error("name a file", fmt::format("kubestrap etcd snapshot {} FILE", command), ExitCode::usage);
  return arguments[0];
}

ExitCode save(const EtcdOptions& options, const Arguments& arguments) {
  const auto file = fileOf(arguments, "save");
  Reached reached(options);
  const auto own = std::ranges::find_if(reached.members, &etcd::MemberHealth::well);
  if (own == reached.members.end()) throw Error("no member of etcd is well", "kubestrap etcd status says what they lack");
  saveSnapshot(*reached.client, own->member.clientUrls.front(), file);
  tell("EtcdSnapshot", fmt::format("{}: {} of {}, not encrypted: it holds every Secret", file, mebibytes(static_cast<std::int64_t>(std::filesystem::file_size(file))), own->member.name),
       {{"file", file}, {"member", own->member.name}, {"size", std::filesystem::file_size(file)}});
  return ExitCode::done;
}

ExitCode check(const Arguments& arguments) {
  const auto file = fileOf(arguments, "check");
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("etcd snapshot check");
  const auto etcd = localEtcd(machine);
  const auto facts = checkSnapshot(file, etcd, machine);
  const auto keys = proveSnapshot(file, etcd, machine);
  tell("EtcdSnapshot", fmt::format("{}: revision {}, {} keys, {} of them Kubernetes' in an etcd that began with it", file, facts.revision, facts.keys, keys),
       {{"file", file}, {"revision", facts.revision}, {"keys", facts.keys}, {"kubernetesKeys", keys}});
  return ExitCode::done;
}

ExitCode restore(const EtcdOptions& options, const Arguments& arguments) {
  const auto file = fileOf(arguments, "restore");
  if (!options.dataDir) throw Error("name a folder for the data", "--data-dir DIR; it must not be there yet", ExitCode::usage);
  Machine machine(globals().rootfs);
  const auto lock = machine.host().lock("etcd snapshot restore");
  const auto etcd = localEtcd(machine);
  checkSnapshot(file, etcd, machine);
  restoreSnapshot(file, *options.dataDir, options.raise ? Revisions::raised : Revisions::asTheyWere, etcd, machine);
  tell("EtcdRestoration", fmt::format("{} holds what etcd needs to begin as the only member, {}", *options.dataDir, etcd.name), {{"folder", *options.dataDir}, {"member", etcd.name}});
  return ExitCode::done;
}

Flag membersFlag(const Options& options) { return kubeconfigFlag(options->kubeconfig, "The kubeconfig to find members with that are on other machines"); }

Command snapshotCommand(const Options& options) {
  return {.name = "snapshot",
          .summary = "Save etcd's data, look at what was saved, make a data folder of it",
          .children = {{.name = "save", .summary = "Write all of etcd's data to a file, by one of its members", .flags = [options] { return std::vector<Flag>{membersFlag(options)}; },
                        .arguments = "FILE", .run = [options](const auto& given) { return save(*options, given); }},
                       {.name = "check", .summary = "Say what a snapshot holds, after an etcd has begun with it in a scratch folder",
                        .description = "Checks a snapshot with the tool in etcd's image, restores it into a scratch folder, and lets an etcd begin with that, on loopback and "
                                       "with this member's certificates. What serves is not touched.",
                        .arguments = "FILE", .run = [](const auto& given) { return check(given); }},
                       {.name = "restore", .summary = "Make a data folder of a snapshot, for a cluster of this member alone; etcd is not touched",
                        .description = "Makes a data folder of a snapshot, for a cluster that has this machine's member alone. Nothing that serves is touched: kubestrap recover "
                                       "etcd --snapshot puts a snapshot into use. It is done by the tool in etcd's image, which containerd runs.",
                        .flags = [options] {
                          return std::vector<Flag>{{.name = "data-dir", .into = &options->dataDir, .doc = "The folder to make", .value = "DIR"},
                                                   {.name = "raise-revisions", .into = &options->raise,
                                                    .doc = "Begin a billion revisions later, so that clients that have seen more than the snapshot look at everything anew"}};
                        },
                        .arguments = "FILE", .run = [options](const auto& given) { return restore(*options, given); }}}};
}

} // namespace

Command etcdCommand() {
  const auto options = std::make_shared<EtcdOptions>();
  const auto flags = [options] { return std::vector<Flag>{membersFlag(options)}; };
  return {.name = "etcd",
          .summary = "Look at etcd's members, and look after them",
          .description = "Looks at etcd's members, and looks after them. It runs on a control plane node, whose credentials it uses, and needs no API server.",
          .children = {{.name = "status", .summary = "Say how each member does", .flags = flags, .run = [options](const auto&) { return showStatus(*options); }},
                       {.name = "members", .summary = "List the members", .flags = flags, .run = [options](const auto&) { return showMembers(*options); }},
                       {.name = "move-leader", .summary = "Let another member lead", .flags = flags, .arguments = "NAME",
                        .run = [options](const auto& given) { return moveLeader(*options, given); }},
                       {.name = "defrag", .summary = "Give back what the database does not use, one member after the other, the leader last",
                        .flags = [options] {
                          return std::vector<Flag>{{.name = "compact", .into = &options->compact, .doc = "First forget all revisions but the present one"},
                                                   {.name = "disarm", .into = &options->disarm, .doc = "As --compact, and end the alarm NOSPACE afterwards, so that etcd takes writes again"},
                                                   membersFlag(options)};
                        },
                        .arguments = "[NAME...]", .run = [options](const auto& given) { return defragment(*options, given); }},
                       snapshotCommand(options)}};
}

} // namespace kubestrap::cmd
