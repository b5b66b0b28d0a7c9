#include "phases/fleet.hpp"

#include "support/text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace kubestrap;
using namespace kubestrap::phases::fleet;

namespace {

using Lines = std::vector<std::string>;

Wish wishOf(const Lines& controlPlanes, const Lines& workers) {
  Wish wish{.machine = "x86_64", .common = {.binary = {"new"}}};
  for (const auto& name : controlPlanes) wish.hosts.push_back({name, "10.0.0.1", true});
  for (const auto& name : workers) wish.hosts.push_back({name, "10.0.0.2", false});
  return wish;
}

HostSeen bare() { return {.machine = "x86_64", .binary = "new"}; }
HostSeen node(bool controlPlane) { return {.machine = "x86_64", .binary = "new", .authorities = {"ours"}, .node = true, .controlPlane = controlPlane}; }

/// A cluster as the wish has it, told of by its first control plane.
Seen made(const Wish& wish) {
  Seen seen{.asked = wish.hosts.front().name};
  for (const auto& host : wish.hosts) {
    seen.hosts[host.name] = node(host.controlPlane);
    seen.nodes.push_back({.name = host.name, .controlPlane = host.controlPlane, .ready = true});
  }
  return seen;
}

Seen allBare(const Wish& wish) {
  Seen seen;
  for (const auto& host : wish.hosts) seen.hosts[host.name] = bare();
  return seen;
}

void forget(Seen& seen, const std::string& name) {
  std::erase_if(seen.nodes, [&](const NodeSeen& each) { return each.name == name; });
}

std::string line(const Step& step) { return fmt::format("{}: {}{}", step.host, nameOf(step.task), step.reason.empty() ? "" : " (" + step.reason + ")"); }

Lines stepsOf(const Plan& plan) {
  Lines lines;
  for (const auto& step : plan.steps) lines.push_back(line(step));
  return lines;
}

Lines troublesOf(const Plan& plan) {
  Lines lines;
  for (const auto& trouble : plan.troubles) lines.push_back(trouble.host + ": " + trouble.cause);
  return lines;
}

/// Rounds of steps that may go on at the same time; those that fail are given.
std::vector<Lines> rounds(const Plan& plan, const Lines& failing = {}) {
  std::vector<Lines> all;
  Progress progress(plan.steps.size(), State::waiting);
  for (;;) {
    const auto coming = next(plan, progress);
    Lines round;
    for (const auto& [at, needed] : coming.left) progress[at] = State::left;
    for (const auto at : coming.begin) {
      round.push_back(plan.steps[at].host + " " + std::string(nameOf(plan.steps[at].task)));
      progress[at] = std::ranges::find(failing, round.back()) != failing.end() ? State::failed : State::done;
    }
    if (round.empty()) break;
    all.push_back(round);
  }
  CHECK(std::ranges::find(progress, State::waiting) == progress.end());
  return all;
}

} // namespace

namespace doctest {
template <> struct StringMaker<Lines> {
  static String convert(const Lines& lines) { return ("\n" + join(lines, "\n")).c_str(); }
};
template <> struct StringMaker<std::vector<Lines>> {
  static String convert(const std::vector<Lines>& all) {
    std::string text;
    for (const auto& lines : all) text += "\n" + join(lines, ", ");
    return text.c_str();
  }
};
} // namespace doctest

TEST_CASE("bare machines are prepared, the first control plane begins the cluster, the others join") {
  auto wish = wishOf({"n1", "n2"}, {"w1"});
  auto seen = allBare(wish);
  seen.hosts["w1"].binary = "";
  const auto plan = planApply(wish, seen);
  CHECK(stepsOf(plan) == Lines{"n1: preflight --fix", "n2: preflight --fix", "w1: copy kubestrap (missing)", "w1: preflight --fix", "n1: init", "n2: join", "w1: join"});
  CHECK(plan.troubles.empty());
}

TEST_CASE("a cluster that is as it shall be is left alone") {
  const auto wish = wishOf({"n1", "n2", "n3"}, {"w1"});
  CHECK(planApply(wish, made(wish)).steps.empty());
}

TEST_CASE("a node that is not Ready is left alone, too: what it lacks is no bootstrapper's to bring") {
  const auto wish = wishOf({"n1"}, {"w1"});
  auto seen = made(wish);
  for (auto& each : seen.nodes) each.ready = false;
  CHECK(planApply(wish, seen).steps.empty());
}

TEST_CASE("a node with another kubestrap, or another image, gets the new one and nothing else") {
  auto wish = wishOf({"n1"}, {"w1"});
  wish.common.image = {"image"};
  wish.common.bundle = {"bundle"};
  auto seen = made(wish);
  seen.hosts["n1"].image = "image";
  seen.hosts["w1"].binary = "old";
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"w1: copy kubestrap (differs)", "w1: copy kubestrap's image (missing)"});
}

TEST_CASE("what there is to say of what is brought is told with the plan") {
  auto wish = wishOf({"n1"}, {});
  wish.notes = {"the bundle has another kubestrap"};
  CHECK(planApply(wish, made(wish)).notes == wish.notes);
}

TEST_CASE("a bundle is copied where it is not, and loaded before the machine is judged") {
  auto wish = wishOf({"n1"}, {"w1"});
  wish.common.bundle = {"bundle"};
  auto seen = allBare(wish);
  seen.hosts["w1"].bundle = "bundle";
  CHECK(stepsOf(planApply(wish, seen)) ==
        Lines{"n1: copy the bundle (missing)", "n1: bundle load", "n1: preflight --fix", "w1: bundle load", "w1: preflight --fix", "n1: init", "w1: join"});
}

TEST_CASE("what has begun and has not ended goes on") {
  const auto wish = wishOf({"n1", "n2"}, {"w1"});
  auto seen = allBare(wish);
  seen.hosts["n1"] = node(true);
  seen.hosts["n1"].begun = "init";
  SUBCASE("before the API server answers") { CHECK(stepsOf(planApply(wish, seen))[3] == "n1: init (goes on)"); }
  SUBCASE("when it answers") {
    seen.asked = "n1";
    CHECK(stepsOf(planApply(wish, seen))[3] == "n1: init (goes on)");
  }
  SUBCASE("a join") {
    seen = made(wish);
    seen.hosts["n2"].begun = "join";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"n2: preflight --fix", "n2: join (goes on)"});
  }
  SUBCASE("a join of which the cluster does not know yet") {
    seen = made(wish);
    forget(seen, "w1");
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w1: preflight --fix", "w1: join (goes on)"});
  }
}

TEST_CASE("no second cluster is made") {
  const auto wish = wishOf({"n1", "n2"}, {});
  auto seen = allBare(wish);
  SUBCASE("where a control plane cannot be reached") {
    seen.hosts["n2"] = {.unreachable = "Connection refused"};
    const auto plan = planApply(wish, seen);
    CHECK(plan.stuck());
    CHECK(plan.troubles.front().cause == "no cluster is seen, but n2 cannot be reached and may have one");
  }
  SUBCASE("where one has a cluster that does not answer") {
    seen.hosts["n2"] = node(true);
    const auto plan = planApply(wish, seen);
    CHECK(plan.stuck());
    CHECK(plan.troubles.front().cause == "no API server answers on n2");
  }
  SUBCASE("where another control plane than the first has it") {
    seen.hosts["n2"] = node(true);
    seen.asked = "n2";
    seen.nodes = {{.name = "n2", .controlPlane = true, .ready = true}};
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"n1: preflight --fix", "n1: join"});
  }
}

TEST_CASE("a machine that cannot be reached is told, and keeps no other one from its work") {
  const auto wish = wishOf({"n1"}, {"w1", "w2"});
  auto seen = made(wish);
  seen.hosts["w1"] = {.unreachable = "No route to host", .hint = "see whether it is up"};
  seen.hosts["w2"] = bare();
  forget(seen, "w2");
  const auto plan = planApply(wish, seen);
  CHECK(stepsOf(plan) == Lines{"w2: preflight --fix", "w2: join"});
  CHECK(troublesOf(plan) == Lines{"w1: it cannot be reached: No route to host"});
  CHECK_FALSE(plan.stuck());
}

TEST_CASE("a machine that cannot be what the file wants is told why") {
  const auto wish = wishOf({"n1"}, {"w1"});
  auto seen = made(wish);
  SUBCASE("it belongs elsewhere") {
    seen.hosts["w1"].authorities = {"theirs"};
    CHECK(troublesOf(planApply(wish, seen)) == Lines{"w1: it belongs to another cluster than n1"});
  }
  SUBCASE("it is something else") {
    seen.nodes[1].controlPlane = true;
    CHECK(troublesOf(planApply(wish, seen)) == Lines{"w1: it is a control plane, and shall be a worker"});
  }
  SUBCASE("the program is for others") {
    seen.hosts["w1"].machine = "aarch64";
    CHECK(troublesOf(planApply(wish, seen)) == Lines{"w1: it is aarch64, and the program is for x86_64"});
  }
  SUBCASE("its name is somebody's") {
    seen.hosts["w1"] = bare();
    CHECK(planApply(wish, seen).troubles.front().cause.find("that is Ready") != std::string::npos);
  }
  CHECK(planApply(wish, seen).steps.empty());
}

TEST_CASE("machines of another architecture get what is theirs, and one that nothing fits is told") {
  auto wish = wishOf({"n1"}, {"w1"});
  wish.others["aarch64"] = {.binary = {"arm"}, .image = {}, .bundle = {}, .kubelet = {}};
  auto seen = allBare(wish);
  seen.hosts["w1"].machine = "aarch64";
  const auto plan = planApply(wish, seen);
  CHECK(stepsOf(plan) == Lines{"n1: preflight --fix", "w1: copy kubestrap (differs)", "w1: preflight --fix", "n1: init", "w1: join"});
  CHECK(plan.steps[1].machine == "aarch64");
  SUBCASE("with a bundle for each") {
    wish.common.bundle = {"bundle"};
    wish.others["aarch64"].bundle = {"arm bundle"};
    seen.hosts["w1"].binary = "arm";
    seen.hosts["w1"].bundle = "bundle"; // somebody's mistake
    const auto bundled = planApply(wish, seen);
    CHECK(stepsOf(bundled) == Lines{"n1: copy the bundle (missing)", "n1: bundle load", "n1: preflight --fix", "w1: copy the bundle (differs)", "w1: bundle load", "w1: preflight --fix", "n1: init", "w1: join"});
    CHECK(Lines{bundled.steps[0].machine, bundled.steps[3].machine, bundled.steps[4].machine} == Lines{"", "aarch64", "aarch64"});
  }
  SUBCASE("with a bundle for the others only") {
    wish.common.bundle = {"bundle"};
    CHECK(troublesOf(planApply(wish, seen)) == Lines{"w1: it is aarch64, and there is a bundle for others only"});
  }
  SUBCASE("with a bundle for these only") {
    wish.others["aarch64"].bundle = {"arm bundle"};
    CHECK(troublesOf(planApply(wish, seen)) == Lines{"n1: it is x86_64, and there is a bundle for others only"});
  }
  SUBCASE("with a kubelet in one of two bundles that an upgrade brings") {
    wish.common.bundle = {"bundle"};
    wish.others["aarch64"].bundle = {"arm bundle"};
    wish.others["aarch64"].kubelet = wish.version = "v1.37.2";
    seen = made(wish);
    seen.hosts["w1"].machine = "aarch64";
    seen.hosts["w1"].binary = "arm";
    seen.version = seen.hosts["n1"].apiServer = "v1.37.2";
    for (auto& each : seen.nodes) each.version = "v1.36.3";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w1: copy the bundle (where it is not there)", "w1: upgrade node (v1.36.3 to v1.37.2)"});
    CHECK(planApply(wish, seen).notes == Lines{"older kubelets than v1.37.2: n1; a bundle with that kubelet brings it, or your packages do"});
  }
  SUBCASE("with no program") {
    seen.hosts["w1"].machine = "s390x";
    CHECK(troublesOf(planApply(wish, seen)) == Lines{"w1: it is s390x, and the program is for x86_64"});
  }
}

TEST_CASE("while authorities change machines know each other by any that they have in common") {
  const auto wish = wishOf({"n1"}, {"w1"});
  auto seen = made(wish);
  seen.hosts["n1"].authorities = {"new", "ours"};
  CHECK(planApply(wish, seen).troubles.empty());
  seen.hosts["w1"].authorities = {"theirs", "new"};
  CHECK(planApply(wish, seen).troubles.empty());
}

TEST_CASE("a machine that was replaced is forgotten before it joins") {
  const auto wish = wishOf({"n1", "n2", "n3"}, {});
  auto seen = made(wish);
  seen.hosts["n3"] = bare();
  seen.nodes[2].ready = false;
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"n3: preflight --fix", "n3: forget (the machine is bare, and its node is there still)", "n3: join"});
}

TEST_CASE("nodes that the file does not have are told, and taken out with --prune: the dead at once, the living at the end") {
  auto wish = wishOf({"n1"}, {"w1"});
  auto seen = made(wish);
  seen.hosts["w1"] = bare();
  forget(seen, "w1");
  seen.nodes.push_back({.name = "w8", .ready = true});
  seen.nodes.push_back({.name = "w9"});
  const auto kept = planApply(wish, seen);
  CHECK(kept.notes == Lines{"in the cluster and not in the file: w8, w9 (not Ready); --prune takes them out"});
  CHECK(stepsOf(kept) == Lines{"w1: preflight --fix", "w1: join"});
  wish.prune = true;
  const auto pruned = planApply(wish, seen);
  CHECK(pruned.notes.empty());
  CHECK(rounds(pruned) == std::vector<Lines>{{"w1 preflight --fix", "w9 forget"}, {"w1 join"}, {"w8 drain, node remove"}});
}

TEST_CASE("machines where another kubestrap is at work are named") {
  const auto wish = wishOf({"n1"}, {"w1"});
  auto seen = allBare(wish);
  seen.hosts["n1"].busy = "init";
  CHECK(planApply(wish, seen).busy == Lines{"n1 (init)"});
}

TEST_CASE("what does not depend on each other goes on at once; control planes take turns") {
  const auto wish = wishOf({"n1", "n2", "n3"}, {"w1", "w2"});
  auto seen = allBare(wish);
  seen.hosts["w2"].binary = "old";
  const auto plan = planApply(wish, seen);
  CHECK(rounds(plan) == std::vector<Lines>{{"n1 preflight --fix", "n2 preflight --fix", "n3 preflight --fix", "w1 preflight --fix", "w2 copy kubestrap"},
                                           {"w2 preflight --fix", "n1 init"},
                                           {"n2 join", "w1 join", "w2 join"},
                                           {"n3 join"}});
  // A control plane that fails leaves its turn to the next one, a worker that fails is its own affair.
  CHECK(rounds(plan, {"n2 join", "w2 preflight --fix"}).back() == Lines{"n3 join"});
  // Without a cluster nobody can join.
  CHECK(rounds(plan, {"n1 init"}).size() == 2);
}

TEST_CASE("a thousand machines go on at once like five, and of them only those stay behind whose own step has failed") {
  Lines workers;
  for (int i = 1; i <= 997; ++i) workers.push_back(fmt::format("w{}", i));
  const auto wish = wishOf({"n1", "n2", "n3"}, workers);
  const auto plan = planApply(wish, allBare(wish));
  const auto all = rounds(plan, {"w500 preflight --fix"});
  REQUIRE(all.size() == 4);
  CHECK(all[0].size() == 1000);
  CHECK(all[1] == Lines{"n1 init"});
  CHECK(all[2].size() == 997); // n2, and all workers but one
  CHECK(std::ranges::find(all[2], "w500 join") == all[2].end());
  CHECK(all[3] == Lines{"n3 join"});
}

TEST_CASE("all machines are made bare: workers at once, then control planes, the first at the end") {
  const auto wish = wishOf({"n1", "n2", "n3"}, {"w1", "w2"});
  auto seen = made(wish);
  seen.hosts["n2"] = {.unreachable = "No route to host"};
  const auto plan = planDestroy(wish, seen);
  CHECK(rounds(plan, {"w1 reset"}) == std::vector<Lines>{{"w1 reset", "w2 reset"}, {"n3 reset"}, {"n1 reset"}});
  CHECK(plan.troubles.size() == 1);
  CHECK(planDestroy(wish, {}).steps.empty());
  auto without = allBare(wish);
  without.hosts["w1"].binary = "";
  CHECK(stepsOf(planDestroy(wish, without)) == Lines{"w2: reset", "n3: reset", "n2: reset", "n1: reset"});
}

TEST_CASE("labels of the file are given, those that it does not have any more are taken away, others' are left alone") {
  auto wish = wishOf({"n1"}, {"w1"});
  wish.hosts[1].labels = {{"disk", "ssd"}, {"zone", "a"}};
  auto seen = made(wish);
  seen.nodes[1].labels = {.all = {{"zone", "a"}, {"rack", "4"}, {"kubernetes.io/os", "linux"}}, .given = {"rack", "zone"}};
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"w1: label (disk=ssd, rack-)"});
  seen.nodes[1].labels.all = {{"zone", "a"}, {"disk", "ssd"}, {"mine", "x"}};
  CHECK(planApply(wish, seen).steps.empty());
  const auto fresh = rounds(planApply(wish, allBare(wish)));
  CHECK(fresh.back() == Lines{"w1 label"});
}

TEST_CASE("taints of the file are given, those that it does not have any more are taken away, others' are left alone") {
  auto wish = wishOf({"n1"}, {"w1"});
  wish.hosts[1].taints = Taints{{"example.org/gpu:NoSchedule", "a"}, {"mine:NoExecute", ""}};
  auto seen = made(wish);
  for (auto& each : seen.nodes) each.taints = Labels{};
  seen.nodes[1].taints = Labels{.all = {{"mine:NoExecute", ""}, {"old:NoSchedule", ""}, {"node.kubernetes.io/not-ready:NoSchedule", ""}}, .given = {"mine:NoExecute", "old:NoSchedule"}};
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"w1: taint (example.org/gpu=a:NoSchedule, old:NoSchedule-)"});
  seen.nodes[1].taints->all = {{"mine:NoExecute", ""}, {"example.org/gpu:NoSchedule", "a"}, {"somebody's:NoSchedule", ""}};
  CHECK(planApply(wish, seen).steps.empty());
  CHECK(rounds(planApply(wish, allBare(wish))).back() == Lines{"w1 taint"});
  SUBCASE("and labels go with them, whatever becomes of either") {
    wish.hosts[1].labels = {{"disk", "ssd"}};
    seen.nodes[1].taints->all.clear();
    CHECK(rounds(planApply(wish, seen), {"w1 label"}) == std::vector<Lines>{{"w1 label", "w1 taint"}});
  }
  SUBCASE("where an older kubestrap does not say what there is, that is told") {
    seen.nodes[1].taints.reset();
    seen.hosts["n1"].binary = "old";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"n1: copy kubestrap (differs)"});
    CHECK(planApply(wish, seen).notes == Lines{"taints are compared by the next apply, when kubestrap there is the file's"});
  }
}

TEST_CASE("where a node has another address than the file says, that is told with what changes it, and left") {
  auto wish = wishOf({"n1"}, {"w1"});
  auto seen = made(wish);
  seen.nodes[0].addresses = {"10.0.0.1"};
  seen.nodes[1].addresses = {"10.0.0.2", "fd00::2"};
  seen.hosts["n1"].advertised = "10.0.0.1";
  CHECK(planApply(wish, seen).notes.empty());
  wish.hosts[1].address = "fd00:0::2"; // of two families it may be either
  CHECK(planApply(wish, seen).notes.empty());
  wish.hosts[1].address = "10.0.0.9";
  CHECK(planApply(wish, seen).notes ==
        Lines{"w1 has the address 10.0.0.2, fd00::2, and the file says 10.0.0.9: it stays so; once the machine has that address: kubestrap node readdress --to 10.0.0.9, on w1"});
  CHECK(planApply(wish, seen).steps.empty());
  wish.hosts[1].ownNodeIp = true;
  CHECK(planApply(wish, seen).notes.empty());
  seen.hosts["n1"].advertised = "10.0.0.7";
  CHECK(planApply(wish, seen).notes ==
        Lines{"n1 has an API server that tells others 10.0.0.7, and the file says 10.0.0.1: it stays so; once the machine has that address: kubestrap node readdress --to 10.0.0.1, on n1"});
}

TEST_CASE("a newer version in the file is an upgrade: control planes, then kubelets where a bundle brings them, then who joins") {
  auto wish = wishOf({"n1", "n2"}, {"w1", "w2"});
  wish.version = "v1.37.2";
  auto seen = made(wish);
  seen.version = "v1.36.3";
  for (auto& each : seen.nodes) each.version = "v1.36.3";
  for (const auto* name : {"n1", "n2"}) seen.hosts[name].apiServer = "v1.36.3";
  seen.hosts["w2"] = bare();
  forget(seen, "w2");
  SUBCASE("with packages of one's own") {
    const auto plan = planApply(wish, seen);
    CHECK(rounds(plan) == std::vector<Lines>{{"w2 preflight --fix", "n1 upgrade apply"}, {"n2 upgrade node"}, {"w2 join"}});
    CHECK(plan.notes == Lines{"older kubelets than v1.37.2: n1, n2, w1; a bundle with that kubelet brings it, or your packages do"});
    // A node that does not get well is the last one that is touched.
    CHECK(rounds(plan, {"n1 upgrade apply"}) == std::vector<Lines>{{"w2 preflight --fix", "n1 upgrade apply"}, {"w2 join"}});
  }
  SUBCASE("from a bundle") {
    wish.common.bundle = {"bundle"};
    wish.common.kubelet = "v1.37.2";
    const auto plan = planApply(wish, seen);
    CHECK(stepsOf(plan) == Lines{"w2: copy the bundle (missing)", "w2: bundle load", "w2: preflight --fix", "n1: copy the bundle (where it is not there)", "n1: bundle load (without its kubelet)",
                                 "n2: copy the bundle (where it is not there)", "n2: bundle load (without its kubelet)", "w1: copy the bundle (where it is not there)",
                                 "w1: bundle load (without its kubelet)", "n1: upgrade apply (v1.36.3 to v1.37.2)",
                                 "n1: upgrade node (v1.36.3 to v1.37.2)", "n2: upgrade node (v1.36.3 to v1.37.2)", "w1: upgrade node (v1.36.3 to v1.37.2)", "w2: join"});
    CHECK(plan.notes.empty());
    // Pods with other images come to all nodes at once: none of these may lack them.
    CHECK(rounds(plan, {"w1 bundle load"}).back() == Lines{"w2 join"});
    CHECK(rounds(plan)[2] == Lines{"w2 preflight --fix", "n1 upgrade apply"});
    // What was loaded is not loaded again when the control plane is through.
    seen.version = seen.hosts["n1"].apiServer = "v1.37.2";
    seen.nodes[0].version = seen.hosts["n2"].apiServer = seen.nodes[1].version = "v1.37.2";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w2: copy the bundle (missing)", "w2: bundle load", "w2: preflight --fix", "w1: copy the bundle (where it is not there)",
                                                  "w1: upgrade node (v1.36.3 to v1.37.2)", "w2: join"});
  }
  SUBCASE("from a bundle, where one control plane does not get well") {
    wish.common.bundle = {"bundle"};
    wish.common.kubelet = "v1.37.2";
    const auto reaches = [](const std::vector<Lines>& all, const std::string& step) { return std::ranges::any_of(all, [&](const Lines& round) { return std::ranges::find(round, step) != round.end(); }); };
    // A worker's kubelet must not be newer than an API server,
    CHECK_FALSE(reaches(rounds(planApply(wish, seen), {"n2 upgrade node"}), "w1 upgrade node"));
    CHECK_FALSE(reaches(rounds(planApply(wish, seen), {"n1 upgrade apply"}), "w1 upgrade node"));
    // which comes by the step itself where control planes are plain,
    CHECK_FALSE(reaches(rounds(planApply(wish, seen), {"n1 upgrade node"}), "n2 upgrade node"));
    // and is through with upgrade apply where they are hosted.
    seen.hosted = seen.selfHosted = true;
    for (const auto* name : {"n1", "n2"}) seen.hosts[name].apiServer = "";
    for (const auto* lost : {"n1 upgrade node", "n2 upgrade node"}) CHECK(reaches(rounds(planApply(wish, seen), {lost}), "w1 upgrade node"));
    CHECK_FALSE(reaches(rounds(planApply(wish, seen), {"n1 upgrade apply"}), "w1 upgrade node"));
  }
  SUBCASE("that was stopped halfway") {
    seen.version = seen.hosts["n1"].apiServer = "v1.37.2";
    seen.hosts["n2"].begun = "upgrade";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w2: preflight --fix", "n2: upgrade node (goes on)", "w2: join"});
  }
  SUBCASE("of which the file knows nothing any more") {
    wish.version = "v1.36.3";
    seen.version = seen.hosts["n1"].apiServer = "v1.37.2";
    seen.hosts["n1"].begun = seen.hosts["n2"].begun = "upgrade";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w2: preflight --fix", "w2: join"});
  }
  SUBCASE("of a hosted control plane of static pods: that is refused at once, and what a refused one has left is not gone on with") {
    seen.hosted = true;
    seen.hosts["n1"].begun = "upgrade";
    const auto plan = planApply(wish, seen);
    CHECK(plan.stuck());
    CHECK(plan.troubles.front().cause.find("only in its own cluster can it be upgraded") != std::string::npos);
    CHECK(plan.troubles.front().remedy == "hosting: self in the file's KubestrapConfiguration, by which it passes there first; or kubestrap pivot on n1");
    wish.version = "v1.36.3";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w2: preflight --fix", "n1: upgrade node (goes on)", "w2: join"}); // the kubelet's, which ends it
    wish.selfHosted = true;
    wish.version = "v1.37.2";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w2: preflight --fix", "n1: pivot (static pods)", "n1: upgrade apply (goes on)", "w2: join"});
  }
  SUBCASE("of a cluster that hosts its control plane: one command for all of them") {
    for (auto& [name, host] : seen.hosts) host.apiServer = ""; // no static pods
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w2: preflight --fix", "n1: upgrade apply (v1.36.3 to v1.37.2)", "w2: join"});
  }
}

TEST_CASE("a control plane of static pods passes into its own cluster where the file asks for it, after the joins of control planes") {
  auto wish = wishOf({"n1", "n2"}, {"w1"});
  auto seen = made(wish);
  seen.version = "v1.37.2";
  seen.hosted = true;
  seen.hosts["n2"] = bare();
  forget(seen, "n2");
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"n2: preflight --fix", "n2: join"}); // not asked for
  wish.selfHosted = true;
  const auto plan = planApply(wish, seen);
  CHECK(rounds(plan) == std::vector<Lines>{{"n2 preflight --fix"}, {"n2 join"}, {"n1 pivot"}});
  CHECK(rounds(plan, {"n2 join"}).size() == 2);
  CHECK(stepsOf(planApply(wish, allBare(wish)))[3] == "n1: init"); // which does it by itself
  CHECK(stepsOf(planApply(wish, allBare(wish))).size() == 6);
  SUBCASE("once") {
    seen.selfHosted = true;
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"n2: preflight --fix", "n2: join"});
    wish.selfHosted = false; // and nothing leads back
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"n2: preflight --fix", "n2: join"});
  }
  SUBCASE("not while init is under way, which does it") {
    seen.hosts["n1"].begun = "init";
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"n1: preflight --fix", "n2: preflight --fix", "n1: init (goes on)", "n2: join"});
  }
  SUBCASE("not in layout plain, and that is told") {
    seen.hosted = false;
    CHECK(stepsOf(planApply(wish, seen)).size() == 2);
    CHECK(planApply(wish, seen).notes.front().starts_with("hosting: self needs layout hosted"));
  }
  SUBCASE("before an upgrade, which needs it") {
    wish.version = "v1.37.2";
    seen.version = "v1.36.3";
    seen.nodes[0].version = seen.hosts["n1"].apiServer = "v1.36.3";
    CHECK(rounds(planApply(wish, seen)) == std::vector<Lines>{{"n2 preflight --fix", "n1 pivot"}, {"n1 upgrade apply"}, {"n2 join"}});
    CHECK(rounds(planApply(wish, seen), {"n1 pivot"}) == std::vector<Lines>{{"n2 preflight --fix", "n1 pivot"}, {"n2 join"}});
  }
}

TEST_CASE("settings come last at the control planes, and what cannot come is told") {
  const auto wish = wishOf({"n1", "n2"}, {"w1"});
  auto seen = made(wish);
  seen.settings.steps = {"kube-apiserver: revision 2", "the cluster's configuration"};
  seen.hosted = seen.selfHosted = true;
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"n1: reconfigure (kube-apiserver: revision 2; the cluster's configuration)"});
  seen.hosted = seen.selfHosted = false;

  auto upgrading = wish;
  upgrading.version = upgrading.common.kubelet = "v1.37.2";
  upgrading.hosts.back().labels = {{"disk", "ssd"}};
  seen.version = "v1.36.3";
  for (auto& node : seen.nodes) node.version = "v1.36.3";
  for (const auto* name : {"n1", "n2"}) seen.hosts[name].apiServer = "v1.36.3";
  forget(seen, "n2");
  seen.hosts["n2"] = bare();
  const auto all = rounds(planApply(upgrading, seen));
  const auto roundOf = [&](const std::string& step) { return std::ranges::find_if(all, [&](const Lines& round) { return std::ranges::find(round, step) != round.end(); }) - all.begin(); };
  CHECK(roundOf("n1 reconfigure") > roundOf("n1 upgrade node"));
  CHECK(roundOf("n1 reconfigure") > roundOf("n2 join"));
  CHECK(roundOf("n1 reconfigure") < static_cast<std::ptrdiff_t>(all.size()));
  for (const auto* lost : {"n1 upgrade apply", "n2 join"}) {
    const auto without = rounds(planApply(upgrading, seen), {lost});
    CHECK(std::ranges::none_of(without, [](const Lines& round) { return std::ranges::find(round, "n1 reconfigure") != round.end(); }));
  }

  auto refused = made(wish);
  refused.settings = {.steps = {}, .refused = "a roll cannot change networking.podSubnet", .hint = "leave it"};
  CHECK(planApply(wish, refused).notes == Lines{"settings stay as they are: a roll cannot change networking.podSubnet; leave it"});
  CHECK(planApply(wish, refused).steps.empty());
  auto failed = made(wish);
  failed.settings = {.steps = {}, .refused = {}, .failed = "the connection broke", .hint = "look at the network"};
  CHECK(troublesOf(planApply(wish, failed)) == Lines{"n1: its settings cannot be compared with the file's: the connection broke"});
  refused.hosts["n1"].binary = "old";
  CHECK(planApply(wish, refused).notes == Lines{"settings are compared by the next apply, when kubestrap there is the file's"});
}

TEST_CASE("settings come to plain control planes one after the other, the one that keeps them in the cluster first, and the next one only where that got well") {
  auto wish = wishOf({"n1", "n2", "n3"}, {"w1"});
  wish.addons = true;
  auto seen = made(wish);
  seen.asked = "n2";
  seen.settings.steps = {"n2: static pod kube-apiserver"};
  seen.addons.steps = {"flannel"};
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"n2: reconfigure (n2: static pod kube-apiserver)", "n1: reconfigure node (as the cluster keeps them)",
                                                "n3: reconfigure node (as the cluster keeps them)", "n2: addons apply (flannel)"});
  CHECK(rounds(planApply(wish, seen)) == std::vector<Lines>{{"n2 reconfigure"}, {"n1 reconfigure node"}, {"n3 reconfigure node"}, {"n2 addons apply"}});
  CHECK(rounds(planApply(wish, seen), {"n2 reconfigure"}) == std::vector<Lines>{{"n2 reconfigure"}, {"n2 addons apply"}});
  CHECK(rounds(planApply(wish, seen), {"n1 reconfigure node"}) == std::vector<Lines>{{"n2 reconfigure"}, {"n1 reconfigure node"}, {"n2 addons apply"}});

  forget(seen, "n3");
  seen.hosts["n3"] = bare();
  seen.addons.steps.clear();
  CHECK(rounds(planApply(wish, seen)) == std::vector<Lines>{{"n3 preflight --fix"}, {"n3 join"}, {"n2 reconfigure"}, {"n1 reconfigure node"}, {"n3 reconfigure node"}});
}

TEST_CASE("a plain control plane that has not followed since a run was stopped follows, whichever it is") {
  const auto wish = wishOf({"n1", "n2"}, {"w1"});
  for (const std::size_t which : {0U, 1U}) {
    auto seen = made(wish);
    seen.nodes[which].settingsFollow = true;
    CHECK(stepsOf(planApply(wish, seen)) == Lines{seen.nodes[which].name + ": reconfigure node (as the cluster keeps them)"});
    seen.hosted = true;
    CHECK(planApply(wish, seen).steps.empty());
  }
}

TEST_CASE("add-ons come after the settings, by the control plane that speaks for the cluster, and what cannot come is told") {
  auto wish = wishOf({"n1", "n2"}, {"w1"});
  auto seen = made(wish);
  seen.addons.steps = {"flannel", "metallb"};
  CHECK(planApply(wish, seen).steps.empty()); // the file does not say which
  wish.addons = true;
  CHECK(stepsOf(planApply(wish, seen)) == Lines{"n1: addons apply (flannel, metallb)"});
  seen.settings.steps = {"kube-apiserver: revision 2"};
  seen.hosted = seen.selfHosted = true;
  wish.hosts[0].labels = {{"disk", "ssd"}};
  CHECK(rounds(planApply(wish, seen), {"n1 reconfigure"}) == std::vector<Lines>{{"n1 reconfigure", "n1 label"}, {"n1 addons apply"}});
  CHECK(planApply(wish, allBare(wish)).notes.empty()); // init installs them

  auto other = made(wish);
  wish.hosts[0].labels.clear();
  SUBCASE("one that the file does not have any more stays") {
    other.addons.beyond = {"metallb"};
    CHECK(planApply(wish, other).steps.empty());
    CHECK(planApply(wish, other).notes == Lines{"metallb is installed, and the file does not have it: it stays; kubestrap addons remove metallb, on n1"});
  }
  SUBCASE("one without a manifest") {
    other.addons.refused = "there is no manifest of it at /root/m.yaml";
    CHECK(planApply(wish, other).steps.empty());
    CHECK(planApply(wish, other).notes == Lines{"add-ons stay as they are: there is no manifest of it at /root/m.yaml"});
  }
  SUBCASE("one that comes with the bundle of an upgrade is applied in the same run") {
    wish.common.bundle = {"bundle"};
    wish.version = "v1.37.2";
    other.version = other.hosts["n1"].apiServer = "v1.36.3";
    other.addons.refused = "there is no manifest of it at /var/lib/kubestrap/manifests/m.yaml";
    const auto plan = planApply(wish, other);
    CHECK(line(plan.steps.back()) == "n1: addons apply (as the bundle has them)");
    CHECK(std::ranges::none_of(rounds(plan, {"n1 upgrade apply"}), [](const Lines& round) { return std::ranges::find(round, "n1 addons apply") != round.end(); }));
  }
}

TEST_CASE("another manifest in the bundle comes to all nodes with its images, and is applied when they all have it") {
  auto wish = wishOf({"n1"}, {"w1", "w2"});
  wish.addons = true;
  wish.common.bundle = {"bundle"};
  wish.common.manifests = {{"flannel", "newer"}, {"metallb", "same"}};
  auto seen = made(wish);
  for (auto& [name, host] : seen.hosts) host.manifests = {{"flannel", "newer"}, {"metallb", "same"}};
  CHECK(planApply(wish, seen).steps.empty());
  for (const auto* name : {"n1", "w1"}) seen.hosts[name].manifests["flannel"] = "older";
  seen.addons.refused = "there is no manifest of it at /var/lib/kubestrap/manifests/flannel.yaml"; // of what lies there by now
  const auto plan = planApply(wish, seen);
  CHECK(stepsOf(plan) == Lines{"n1: copy the bundle (where it is not there)", "n1: bundle load (without its kubelet; its manifests are others: flannel)", "w1: copy the bundle (where it is not there)",
                               "w1: bundle load (without its kubelet; its manifests are others: flannel)", "n1: addons apply (as the bundle has them)"});
  CHECK(plan.notes.empty());
  CHECK(rounds(plan).back() == Lines{"n1 addons apply"});
  CHECK(rounds(plan, {"w1 bundle load"}).back() == Lines{"n1 bundle load", "w1 bundle load"}); // its pods would lack their images there

  SUBCASE("one that was away gets it when it is back, and nothing is applied again") {
    seen.hosts["n1"].manifests["flannel"] = "newer";
    seen.addons.refused.clear();
    seen.hosts["w1"].unreachable = "no route";
    CHECK(planApply(wish, seen).steps.empty());
    seen.hosts["w1"].unreachable.clear();
    CHECK(stepsOf(planApply(wish, seen)) == Lines{"w1: copy the bundle (where it is not there)", "w1: bundle load (without its kubelet; its manifests are others: flannel)"});
  }
  SUBCASE("an upgrade and a join bring it by their own steps, once") {
    wish.version = "v1.37.2";
    seen.version = seen.hosts["n1"].apiServer = "v1.36.3";
    seen.hosts["w2"] = bare();
    forget(seen, "w2");
    for (const auto& each : {"n1", "w1", "w2"}) CHECK(std::ranges::count_if(stepsOf(planApply(wish, seen)), [&](const std::string& step) { return step.starts_with(std::string(each) + ": bundle load"); }) == 1);
  }
}

TEST_CASE("no cluster goes back to an older version, and one that the file says nothing of stays") {
  auto wish = wishOf({"n1"}, {});
  auto seen = made(wish);
  seen.version = seen.nodes[0].version = seen.hosts["n1"].apiServer = "v1.37.2";
  CHECK(planApply(wish, seen).steps.empty());
  wish.version = "v1.36.3";
  const auto plan = planApply(wish, seen);
  CHECK(plan.steps.empty());
  CHECK(plan.notes == Lines{"the cluster has Kubernetes v1.37.2, and the file says v1.36.3: there is no way back, it is left as it is"});
}
