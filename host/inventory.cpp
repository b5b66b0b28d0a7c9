#include "host/inventory.hpp"

#include "host/facts.hpp"
#include "host/processes.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <set>

namespace kubestrap::host {

namespace {

/// Where bootstrappers, components and pod networks write.
constexpr std::string_view roots[] = {"/etc/kubernetes", "/etc/cni", "/etc/containerd", "/etc/systemd/system", "/etc/sysctl.d",
                                      "/etc/modules-load.d", "/etc/hosts", "/etc/fstab", "/opt/cni", "/var/lib/kubelet", "/var/lib/etcd",
                                      "/var/lib/cni", "/var/log/pods", "/var/log/containers"};
/// And where something may turn up whose name nobody knows: names only.
constexpr std::string_view parents[] = {"/etc", "/opt", "/var/lib"};

constexpr std::string_view components[] = {"kubelet", "kube-apiserver", "kube-controller", "kube-scheduler", "kube-proxy", "etcd",
                                           "coredns", "haproxy", "keepalived"};

constexpr std::string_view sysctls[] = {"kernel.keys.root_maxbytes", "kernel.keys.root_maxkeys", "kernel.panic", "kernel.panic_on_oops",
                                        "net.bridge.bridge-nf-call-arptables", "net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-iptables",
                                        "net.ipv4.conf.all.forwarding", "net.ipv4.conf.all.route_localnet", "net.ipv4.ip_forward", "net.ipv4.vs.conntrack",
                                        "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding", "net.netfilter.nf_conntrack_max",
                                        "net.netfilter.nf_conntrack_tcp_be_liberal", "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
                                        "net.netfilter.nf_conntrack_tcp_timeout_established", "vm.overcommit_memory", "vm.panic_on_oom"};

/// What is larger is told by its size: programs of CNI plugins.
constexpr std::uint64_t digestLimit = 256 * 1024;

std::string describe(const Path& path, const FileStatus& status, Host& host) {
  switch (status.type) {
  case FileStatus::Type::folder: return fmt::format("folder {:04o}", status.mode);
  case FileStatus::Type::symlink: return "link";
  case FileStatus::Type::other: return "other";
  case FileStatus::Type::file: break;
  }
  if (status.size > digestLimit) return fmt::format("file {:04o}, {} octets", status.mode, status.size);
  return fmt::format("file {:04o} {}", status.mode, sha256Hex(host.read(path).value_or("")));
}

void walk(const Path& path, Host& host, const std::set<Path>& mounts, Value& files) {
  const auto status = host.status(path);
  if (!status) return;
  files[path.string()] = describe(path, *status, host);
  if (status->type != FileStatus::Type::folder || mounts.contains(path)) return;
  for (const auto& name : host.list(path)) walk(path / name, host, mounts, files);
}

/// The journal and the lock are kubestrap's memory of this, and no part of it.
bool isOwn(const Path& path) { return path == "/var/lib/kubestrap"; }

Value filesOf(Host& host) {
  Value files = Value::object();
  const auto mounts = mountPoints(host);
  const std::set<Path> mounted(mounts.begin(), mounts.end());
  for (const auto root : roots) walk(root, host, mounted, files);
  for (const auto parent : parents)
    for (const auto& name : host.list(parent))
      if (const auto path = Path(parent) / name; !isOwn(path) && !files.contains(path.string())) files[path.string()] = "is there";
  return files;
}

Value linksOf(Host& host) {
  Value links = Value::object();
  for (const auto& name : host.list("/sys/class/net")) links[name] = "is there";
  return links;
}

/// As `ip route` tells it: "10.244.1.0/24 via 10.0.0.12 dev eth0".
std::string routeOf(const IpAddress& network, int prefix, const std::optional<IpAddress>& gateway, const std::string& interface) {
  const std::string via = gateway && !gateway->isUnspecified() ? fmt::format(" via {}", gateway->string()) : "";
  return fmt::format("{}/{}{} dev {}", network.string(), prefix, via, interface);
}

/// Without what is the loopback interface's own.
Value routesOf(Host& host) {
  Value routes = Value::object();
  for (const auto& line : split(host.read("/proc/net/route").value_or(""), '\n'))
    if (const auto parts = words(line); parts.size() > 10 && parts.front() != "lo")
      if (const auto network = addressV4(parts[1]), gateway = addressV4(parts[2]); network && gateway)
        routes[routeOf(*network, prefixOfMaskV4(parts[7]).value_or(0), gateway, parts.front())] = "is there";
  for (const auto& line : split(host.read("/proc/net/ipv6_route").value_or(""), '\n'))
    if (const auto parts = words(line); parts.size() == 10 && parts.back() != "lo")
      // What the kernel adds for each interface that is up, seconds after it: multicast, and addresses of the link.
      if (const auto network = addressV6(parts[0]); network && !network->isMulticast() && !network->isLinkLocal())
        routes[routeOf(*network, static_cast<int>(std::strtol(parts[1].c_str(), nullptr, 16)), addressV6(parts[4]), parts.back())] = "is there";
  return routes;
}

std::optional<std::string> outputOf(const InventorySources& sources, std::string program, std::vector<std::string> arguments) {
  try {
    auto result = sources.run({.program = std::move(program), .arguments = std::move(arguments), .input = {}});
    if (result.exitCode == 0 && !result.timedOut) return std::move(result.output);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
  }
  return std::nullopt;
}

Value rulesOf(const InventorySources& sources) {
  Value rules = Value::object();
  for (const auto& programs : filterPrograms(sources.host))
    if (const auto saved = outputOf(sources, programs.save, {}))
      for (const auto& rule : rulesIn(*saved)) rules[programs.save.substr(0, programs.save.rfind('-')) + " " + rule] = "is there";
  if (sources.host.status("/usr/sbin/nft"))
    for (const auto& table : split(outputOf(sources, "nft", {"list", "tables"}).value_or(""), '\n'))
      // Those of iptables-nft come with the first question, and are told above by what is in them.
      if (!table.empty() && !table.starts_with("table ip filter") && !table.starts_with("table ip6 filter") && !table.ends_with(" nat") &&
          !table.ends_with(" mangle") && !table.ends_with(" raw") && !table.ends_with(" security"))
        rules["nft " + table] = "is there";
  return rules;
}

Value ipvsOf(Host& host) {
  Value services = Value::object();
  for (const auto& line : split(host.read("/proc/net/ip_vs").value_or(""), '\n'))
    if (const auto parts = words(line); parts.size() > 2 && (parts[0] == "TCP" || parts[0] == "UDP" || parts[0] == "SCTP") && parts[1] != "Local")
      services[parts[0] + " " + parts[1]] = "is there";
  return services;
}

Value mountsOf(Host& host) {
  Value mounts = Value::object();
  for (const auto& path : mountPoints(host))
    if (const auto text = path.string(); !text.starts_with("/run/user/") && !text.starts_with("/run/credentials/")) mounts[text] = "is there";
  return mounts;
}

// A kubelet that has no settings yet ends and is started again for ever: which of both is seen is chance.
bool runs(const ServiceState& state) { return state.active == "active" || state.active == "activating"; }

Value processesOf(Host& host, const ServiceState& kubeletUnit) {
  std::map<std::string, unsigned> counts;
  for (const auto& [pid, command] : processes(host)) {
    // Named anew: clang 14 takes no structured binding into a lambda.
    if (std::ranges::any_of(components, [&program = command](std::string_view each) { return program.starts_with(each); })) ++counts[command];
    if (!command.starts_with("containerd-shim")) continue;
    const auto words = argumentsOf(pid, host);
    if (std::ranges::find(words, "k8s.io") != words.end()) ++counts["pods in the runtime"];
  }
  // The process of a unit that runs is told by the unit; another one is somebody's.
  if (const auto kubelet = counts.find("kubelet"); kubelet != counts.end() && runs(kubeletUnit) && --kubelet->second == 0) counts.erase(kubelet);
  Value processes = Value::object();
  for (const auto& [command, count] : counts) processes[command] = std::to_string(count);
  return processes;
}

Value unitsOf(const ServiceState& kubelet) {
  if (!kubelet.exists) return Value::object();
  return {{"kubelet", fmt::format("{}, {}", runs(kubelet) ? "active" : "inactive", kubelet.enabled ? "enabled" : "disabled")}};
}

Value sysctlsOf(Host& host) {
  Value values = Value::object();
  for (const auto name : sysctls) {
    try {
      if (const auto value = host.read("/proc/sys/" + replaceAll(std::string(name), ".", "/"))) values[std::string(name)] = trim(*value);
    } catch (const Error&) {
    }
  }
  return values;
}

} // namespace

Value takeInventory(const InventorySources& sources) {
  auto& host = sources.host;
  const auto kubelet = host.service("kubelet");
  return {{"files", filesOf(host)},   {"links", linksOf(host)},         {"routes", routesOf(host)},
          {"rules", rulesOf(sources)}, {"ipvs", ipvsOf(host)},           {"mounts", mountsOf(host)},
          {"processes", processesOf(host, kubelet)}, {"units", unitsOf(kubelet)},    {"sysctls", sysctlsOf(host)}};
}

std::span<const std::string_view> changedSysctls() { return sysctls; }

std::vector<Path> mountPoints(Host& host) {
  std::vector<Path> paths;
  for (const auto& line : split(host.read("/proc/self/mounts").value_or(""), '\n'))
    // Spaces and the like are written as \040.
    if (const auto parts = words(line); parts.size() > 1) {
      std::string path;
      for (std::size_t i = 0; i < parts[1].size(); ++i) {
        int code = 0;
        const auto* at = parts[1].data() + i + 1;
        if (parts[1][i] == '\\' && i + 3 < parts[1].size() && std::from_chars(at, at + 3, code, 8).ec == std::errc()) path += static_cast<char>(code), i += 3;
        else path += parts[1][i];
      }
      paths.emplace_back(path);
    }
  return paths;
}

std::vector<std::string> rulesIn(std::string_view saved) {
  std::vector<std::string> rules;
  std::string table;
  for (const auto& line : split(saved, '\n')) {
    if (line.starts_with('*')) table = line.substr(1);
    else if (line.starts_with("-A ")) rules.push_back(table + " " + line);
    else if (line.starts_with(':') && line.find(" - [") != std::string::npos) rules.push_back(table + " " + line.substr(0, line.find(' ')));
  }
  return rules;
}

std::vector<FilterPrograms> filterPrograms(Host& host) {
  std::vector<FilterPrograms> found;
  const auto has = [&](const std::string& program) { return host.status("/usr/sbin/" + program) || host.status("/sbin/" + program); };
  for (const std::string family : {"iptables", "ip6tables"}) {
    bool both = false;
    for (const std::string kind : {"-nft", "-legacy"}) {
      if (!has(family + kind + "-save")) continue;
      found.push_back({family + kind + "-save", family + kind + "-restore"});
      both = true;
    }
    if (!both && has(family + "-save")) found.push_back({family + "-save", family + "-restore"});
  }
  return found;
}

} // namespace kubestrap::host
