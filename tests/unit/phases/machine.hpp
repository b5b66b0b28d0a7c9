#pragma once
// A machine on which nothing is wrong, and what is asked of it; each test spoils one thing.

#include "config/facts.hpp"
#include "config/model.hpp"

namespace kubestrap::phases {

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
inline Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }

inline config::Setup plainSetup() {
  config::Setup setup;
  setup.cluster.version = parseVersion("v1.37.2");
  setup.cluster.networks.services = {cidr("10.96.0.0/12")};
  setup.cluster.networks.pods = {cidr("10.244.0.0/16")};
  setup.cluster.kubelet.document = {{"cgroupDriver", "systemd"}};
  setup.node.name = "n1";
  setup.node.advertiseAddress = ip("192.168.5.11");
  setup.node.criSocket = "unix:///var/run/containerd/containerd.sock";
  return setup;
}

inline config::Facts fitMachine() {
  config::Facts facts;
  facts.hostname = "n1";
  facts.hostnameResolves = true;
  facts.defaultAddress = ip("192.168.5.11");
  facts.addresses = {ip("127.0.0.1"), ip("192.168.5.11"), ip("fd00:5::11")};
  facts.cpus = 2;
  facts.memoryBytes = 1700ULL * 1024 * 1024;
  facts.listening = {{.port = 22, .address = "0.0.0.0", .pid = 1, .process = "sshd", .unit = "ssh.service"}};
  facts.sysctls = {{"net.ipv4.ip_forward", "1"},
                   {"net.ipv6.conf.default.forwarding", "1"},
                   {"net.bridge.bridge-nf-call-iptables", "1"},
                   {"net.bridge.bridge-nf-call-ip6tables", "1"}};
  facts.programs = {{"losetup", true}, {"mount", true}, {"cp", true}, {"conntrack", true}};
  facts.files = {{"/etc/etcd/ca.crt", true}, {"/etc/etcd/client.crt", true}, {"/etc/etcd/client.key", true}};
  facts.initSystem = "systemd";
  facts.kubelet = {.exists = true, .enabled = true, .active = true};
  facts.kubeletVersion = "v1.37.2";
  facts.cgroup = {.unified = true,
                  .controllers = {"cpu", "cpuset", "devices", "freezer", "memory", "pids", "hugetlb", "io"}};
  facts.runtime = {
      .reachable = true, .name = "containerd", .version = "2.1.4", .ready = true, .cgroupDriver = "systemd",
      .answersRuntimeConfig = true};
  facts.machineId = "8d3f0a4f0bd14ab0b7b8b5f4b3c1f0aa";
  facts.clock.synchronised = true;
  facts.operatingSystem = "Linux";
  facts.kernelRelease = "6.1.0-28-amd64";
  for (const auto* option : {"NAMESPACES", "NET_NS", "PID_NS", "IPC_NS", "UTS_NS", "CPUSETS", "MEMCG", "INET",
                             "PROC_FS", "FAIR_GROUP_SCHED", "CGROUPS", "CGROUP_BPF", "CGROUP_PIDS", "CGROUP_SCHED",
                             "CGROUP_CPUACCT", "CGROUP_DEVICE", "CGROUP_FREEZER", "SECCOMP"})
    facts.kernelConfig["CONFIG_" + std::string(option)] = "y";
  for (const auto* option : {"EXT4_FS", "NETFILTER_XT_TARGET_REDIRECT", "NETFILTER_XT_MATCH_COMMENT", "OVERLAY_FS"})
    facts.kernelConfig["CONFIG_" + std::string(option)] = "m";
  return facts;
}

} // namespace kubestrap::phases
