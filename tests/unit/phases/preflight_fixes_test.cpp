// What `preflight --fix` would do, as resources.
#include "tests/unit/phases/judging.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

namespace kubestrap::phases {

namespace {

using Lines = std::vector<std::string>;

Lines subjects(const plan::Resources& resources) {
  Lines lines;
  for (const auto& each : resources) lines.push_back(plan::subject(each));
  return lines;
}

/// The content of a file that the repairs write; "" when they write no such file.
std::string textOf(const plan::Resources& resources, std::string_view path) {
  for (const auto& each : resources)
    if (const auto* file = std::get_if<plan::File>(&each); file && file->path == path) return file->content;
  return "";
}

constexpr auto containerdConfig = "/etc/containerd/config.toml";
constexpr auto v3 = R"(version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.k8s.io/pause:3.6' # by hand
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = false
)";

struct Spoilt {
  Setup setup = plainSetup();
  Facts facts = fitMachine();
  Spoilt() { setup.cluster.images.pause = "registry.k8s.io/pause:3.10.2"; }
  plan::Resources fixes(Purpose purpose = Purpose::init) const { return repairs(purpose, setup, facts); }
  void spoilContainerd(std::string config) {
    facts.runtime.sandboxImage = "registry.k8s.io/pause:3.6";
    facts.runtime.cgroupDriver = "cgroupfs";
    facts.texts[containerdConfig] = {.content = std::move(config), .mode = 0600};
  }
};

} // namespace

TEST_CASE_FIXTURE(Spoilt, "nothing is done to a machine on which nothing is wrong") {
  CHECK(fixes().empty());
  CHECK(fixes(Purpose::joinWorker).empty());
}

TEST_CASE_FIXTURE(Spoilt, "a setting of the kernel is made for now and for after a reboot") {
  facts.sysctls["net.ipv4.ip_forward"] = "0";
  constexpr auto file = "/etc/sysctl.d/99-kubestrap-ipv4-forwarding.conf";
  CHECK(subjects(fixes()) == Lines{std::string("file ") + file, "net.ipv4.ip_forward = 1"});
  CHECK(textOf(fixes(), file).ends_with("\nnet.ipv4.ip_forward = 1\n"));
  CHECK(theFinding("FileContent--proc-sys-net-ipv4-ip_forward", setup, facts).fixable);
  facts.sysctls.erase("net.ipv4.ip_forward"); // no such family of addresses
  CHECK(fixes().empty());
  CHECK_FALSE(theFinding("FileContent--proc-sys-net-ipv4-ip_forward", setup, facts).fixable);
}

TEST_CASE_FIXTURE(Spoilt, "the bridge's module is loaded before its settings are made") {
  facts.sysctls = {{"net.ipv4.ip_forward", "1"}};
  CHECK(subjects(fixes()) == Lines{"file /etc/modules-load.d/kubestrap-bridge.conf",
                                   "file /etc/sysctl.d/99-kubestrap-bridge.conf", "kernel module br_netfilter", "net.bridge.bridge-nf-call-iptables = 1",
                                   "net.bridge.bridge-nf-call-ip6tables = 1"});
}

TEST_CASE_FIXTURE(Spoilt, "swap goes off now, and out of /etc/fstab by a #") {
  facts.swaps = {"/dev/sda2"};
  CHECK(subjects(fixes()) == Lines{"swap"});
  facts.texts["/etc/fstab"] = {.content = "# <file system>\nUUID=1 / ext4 defaults 0 1\n/dev/sda2\tnone  swap sw 0 0\n"
                                          "#/old none swap sw 0 0\n",
                               .mode = 0640};
  CHECK(subjects(fixes()) == Lines{"file /etc/fstab", "swap"});
  CHECK(textOf(fixes(), "/etc/fstab") == "# <file system>\nUUID=1 / ext4 defaults 0 1\n# /dev/sda2\tnone  swap sw 0 0\n"
                                         "#/old none swap sw 0 0\n");
  CHECK(std::get<plan::File>(fixes().front()).mode == 0640);

  setup.cluster.kubelet.document["failSwapOn"] = false; // somebody wants it
  CHECK(fixes().empty());
  CHECK_FALSE(theFinding("Swap", setup, facts).fixable);
}

TEST_CASE_FIXTURE(Spoilt, "containerd's file is changed once for all that is wrong with it, and containerd restarted once") {
  spoilContainerd(v3);
  const auto resources = fixes();
  CHECK(subjects(resources) == Lines{"file /etc/containerd/config.toml", "service containerd", "the container runtime is ready"});
  CHECK(textOf(resources, containerdConfig) ==
        replaceAll(replaceAll(v3, "'registry.k8s.io/pause:3.6' # by hand", "\"registry.k8s.io/pause:3.10.2\""), "false", "true"));
  CHECK(std::get<plan::File>(resources.front()).mode == 0600);
}

TEST_CASE_FIXTURE(Spoilt, "containerd without a file gets one, in the form that both its majors read") {
  spoilContainerd("");
  facts.texts.clear();
  CHECK(textOf(fixes(), containerdConfig) == R"(version = 2

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10.2"
)");
}

TEST_CASE_FIXTURE(Spoilt, "a file of containerd that is not understood is left to people") {
  for (const auto* text : {"disabled_plugins = [\"cri\"]\n", "version = 3\nplugins = {}\n", "not TOML"}) {
    spoilContainerd(text);
    CHECK_MESSAGE(fixes().empty(), text);
    CHECK_FALSE(theFinding("SandboxImage", setup, facts).fixable);
  }
  spoilContainerd(v3);
  facts.runtime.name = "cri-o";
  CHECK(fixes().empty());
}

TEST_CASE_FIXTURE(Spoilt, "the cgroup driver of a machine that is a node already is left to people") {
  spoilContainerd(v3);
  facts.files["/var/lib/kubelet/config.yaml"] = true;
  CHECK(theFinding("SandboxImage", setup, facts).fixable);
  CHECK_FALSE(theFinding("CgroupDriver", setup, facts).fixable);
  CHECK(mentions(textOf(fixes(), containerdConfig), "SystemdCgroup = false"));
}

TEST_CASE_FIXTURE(Spoilt, "preflight.fix admits the findings that it names and no others") {
  spoilContainerd(v3);
  facts.sysctls["net.ipv4.ip_forward"] = "0";
  setup.cluster.kubestrap.preflightFix = Lines{"sandboximage"};
  CHECK(textOf(fixes(), containerdConfig) ==
        replaceAll(v3, "'registry.k8s.io/pause:3.6' # by hand", "\"registry.k8s.io/pause:3.10.2\""));
  CHECK(subjects(fixes()).front() == "file /etc/containerd/config.toml");
  setup.cluster.kubestrap.preflightFix = Lines{};
  CHECK(fixes().empty());
}

TEST_CASE_FIXTURE(Spoilt, "a name in preflight.fix that nothing can be done about is refused, with those that are") {
  setup.cluster.kubestrap.preflightFix = Lines{"Swap", "FileContent--proc-sys-net-ipv4-ip_forward"};
  checkFixNames(setup);
  setup.cluster.kubestrap.preflightFix = Lines{"NumCPU"};
  try {
    checkFixNames(setup);
    FAIL("it was admitted");
  } catch (const Error& error) {
    CHECK(error.exitCode() == ExitCode::usage);
    CHECK(mentions(error.message(), "NumCPU"));
    CHECK(mentions(error.hint(), "BridgeFilter"));
  }
}

TEST_CASE_FIXTURE(Spoilt, "what is ignored is a warning, and can be put right all the same") {
  facts.sysctls["net.ipv4.ip_forward"] = "0";
  setup.request.ignorePreflightErrors = {"all"};
  CHECK(fixes().size() == 2);
}

} // namespace kubestrap::phases
