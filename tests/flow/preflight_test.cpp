// `preflight --fix` on a machine whose kernel is in memory: what is not kept apart by namespaces (swap, modules, vm.*) is
// never tried on a real one.
#include "phases/preflight.hpp"
#include "plan/journal.hpp"
#include "support/text.hpp"
#include "tests/flow/machine.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

using Lines = std::vector<std::string>;
using phases::Purpose;

constexpr auto containerdConfig = "/etc/containerd/config.toml";
constexpr auto oldConfig = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"registry.k8s.io/pause:3.6\"\n";

/// A machine with swap, without forwarding, without the bridge's module, and with a containerd as the distribution has it.
struct Unprepared : Machine {
  Unprepared() {
    host.put("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1000 0 -2\n");
    host.put("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\n");
    host.put("/proc/sys/net/ipv4/ip_forward", "0\n");
    host.put(containerdConfig, oldConfig);
    host.services["containerd"] = {.exists = true, .enabled = true, .active = "active", .sub = "running", .result = "success"};
    host.services["containerd"].startedAt = host.now;
    host.onServiceAction = [this](const std::string& name, host::Host::ServiceAction) {
      if (name == "containerd") inForce = host.text(containerdConfig);
    };
    host.onRun = [this](const host::Command& command) { return kernel(command); };
    adjust = [](config::Setup& setup) { setup.cluster.kubelet.document["protectKernelDefaults"] = true; };
    for (const auto* name : {"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
                             "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"})
      host.put(std::string("/proc/sys/") + name, "0\n");
  }

  std::string inForce = oldConfig; ///< what containerd read when it began

  host::CommandResult kernel(const host::Command& command) {
    const auto word = command.arguments.back();
    if (command.program == "swapoff") host.put("/proc/swaps", "Filename Type Size Used Priority\n");
    if (command.program == "modprobe") {
      host.put("/sys/module/" + word + "/refcnt", "0\n");
      for (const auto* name : {"iptables", "ip6tables"}) host.put(std::string("/proc/sys/net/bridge/bridge-nf-call-") + name, "1\n");
    }
    if (command.program == "sysctl") {
      const auto equals = word.find('=');
      host.put("/proc/sys/" + replaceAll(word.substr(0, equals), ".", "/"), word.substr(equals + 1) + "\n");
    }
    return {};
  }

  /// As the real look would: the kernel's state is what its files say, the runtime's what it read.
  config::Facts look(const config::Setup& wanted) {
    const auto asked = phases::questionsForInit(wanted);
    auto facts = host.facts({.files = asked.files, .folders = asked.folders, .programs = asked.programs});
    facts.sysctls.clear();
    for (const auto& name : asked.sysctls)
      if (const auto value = host.text("/proc/sys/" + replaceAll(name, ".", "/")); !value.empty()) facts.sysctls[name] = trim(value);
    facts.sysctls["net.ipv6.conf.default.forwarding"] = "1";
    facts.swaps.clear();
    if (host.text("/proc/swaps").find("/dev/") != std::string::npos) facts.swaps = {"/dev/sda2"};
    for (const auto* path : {"/etc/fstab", containerdConfig}) facts.texts[path] = {.content = host.text(path)};
    facts.runtime = cri.facts();
    facts.runtime.sandboxImage = // as its program says, which reads the file
        host.text(containerdConfig).find("3.6") != std::string::npos ? "registry.k8s.io/pause:3.6" : wanted.cluster.images.pause;
    facts.runtime.cgroupDriver = inForce.find("SystemdCgroup = true") != std::string::npos ? "systemd" : "cgroupfs";
    facts.runtime.outdated = host.files[containerdConfig].modified > *host.services["containerd"].startedAt;
    return facts;
  }

  plan::Outcome fix(plan::Mode mode = plan::Mode::apply) {
    const auto wanted = setup();
    plan::World world{host, cri, api, clock, entropy};
    return plan::run(phases::repairWorkflow(Purpose::init), {}, wanted, look(wanted), world, mode, listener, "preflight init");
  }

  /// Names of findings that --fix could still do something about.
  Lines left() {
    const auto wanted = setup();
    Lines names;
    for (const auto& finding : phases::judgeInit(wanted, look(wanted)))
      if (finding.fixable) names.push_back(finding.check);
    return names;
  }

  /// All that is on the machine but the journal and its copies.
  std::map<std::string, std::string> state() const {
    std::map<std::string, std::string> files{{"in force", inForce}};
    for (const auto& [path, file] : host.files)
      if (!path.starts_with("/var/lib/kubestrap")) files[path] = file.content;
    return files;
  }
};

} // namespace

TEST_CASE_FIXTURE(Unprepared, "all that can be put right is, and another run finds nothing to do") {
  CHECK(left() == Lines{"Swap", "FileContent--proc-sys-net-ipv4-ip_forward", "CgroupDriver", "SandboxImage", "BridgeFilter",
                        "KernelDefaults"});
  CHECK(fix().changed());
  CHECK(left().empty());
  CHECK(host.text("/proc/sys/net/bridge/bridge-nf-call-iptables") == "1\n");
  CHECK(host.text("/etc/fstab") == "/dev/sda1 / ext4 defaults 0 1\n# /dev/sda2 none swap sw 0 0\n");
  const auto effects = host.effects.size();
  CHECK_FALSE(fix().changed());
  CHECK(host.effects.size() == effects);
}

TEST_CASE_FIXTURE(Unprepared, "a plan shows all of it and does none") {
  const auto before = state();
  const auto outcome = fix(plan::Mode::plan);
  CHECK(outcome.changed());
  CHECK(host.effects.empty());
  CHECK(state() == before);
  CHECK(listener.previews.find("+# /dev/sda2 none swap sw 0 0") != std::string::npos);
  CHECK(changesOf(outcome).front() == "fix: update file /etc/fstab (content differs)");
}

TEST_CASE_FIXTURE(Unprepared, "the journal has what was there before each change") {
  fix();
  std::map<std::string, Value> before;
  for (const auto& record : plan::Journal::read(host))
    if (const auto* target = find(record, "target")) before[target->dump()] = record.value("before", Value());
  CHECK(before.at(R"({"sysctl":"net.ipv4.ip_forward"})") == Value{{"value", "0"}});
  CHECK(before.at(R"({"swap":"all"})") == Value{{"areas", {"/dev/sda2"}}});
  CHECK(before.contains(R"({"module":"br_netfilter"})"));
  CHECK(before.at(R"({"path":"/etc/fstab"})").contains("sha256"));
  std::size_t kept = 0;
  for (const auto& [path, file] : host.files)
    if (path.starts_with("/var/lib/kubestrap/before/") && file.content == oldConfig) ++kept;
  CHECK(kept == 1);
}

TEST_CASE("stopped before any effect, another run ends in the same state") {
  Unprepared whole;
  whole.fix();
  for (std::size_t n = 1;; ++n) {
    CAPTURE(n);
    Unprepared stopped;
    stopped.host.stopAtEffect = n;
    bool ended = true;
    try {
      stopped.fix();
    } catch (const fakes::Killed&) {
      ended = false;
    }
    if (ended) {
      CHECK(n > 15);
      break;
    }
    stopped.fix();
    CHECK(stopped.state() == whole.state());
    CHECK(stopped.left().empty());
  }
}

TEST_CASE_FIXTURE(Unprepared, "a runtime that does not come back is told with where to look") {
  host.onServiceAction = [this](const std::string& name, host::Host::ServiceAction) {
    if (name == "containerd") cri.runtime = {.reachable = false, .error = "cannot reach the socket"};
  };
  try {
    fix();
    FAIL("it ended well");
  } catch (const Error& error) {
    CHECK(error.message() == "gave up after 60s waiting until the container runtime is ready: cannot reach the socket");
    CHECK(error.hint() == "look at: journalctl -u containerd");
  }
}
