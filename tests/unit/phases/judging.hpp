#pragma once
// How the tests of the checks ask: what does this check say of that machine.

#include "phases/preflight.hpp"
#include "tests/unit/phases/machine.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kubestrap::phases {

using config::Facts;
using config::Setup;
using plan::Findings;
using plan::Severity;

inline Findings judged(std::string_view check, const Setup& setup, const Facts& facts, Purpose purpose = Purpose::init) {
  Findings result;
  std::ranges::copy_if(judge(purpose, setup, facts), std::back_inserter(result),
                       [&](const auto& each) { return each.check == check; });
  return result;
}

/// The one finding of a check; the test ends when there is none or more.
inline plan::Finding theFinding(std::string_view check, const Setup& setup, const Facts& facts,
                                Purpose purpose = Purpose::init) {
  const auto findings = judged(check, setup, facts, purpose);
  CAPTURE(check);
  REQUIRE(findings.size() == 1);
  return findings.front();
}

inline bool mentions(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

inline void useExternalEtcd(Setup& setup) {
  setup.cluster.etcd.external = config::ExternalEtcd{.endpoints = {"https://10.9.0.1:2379"},
                                                     .httpEndpoints = {"https://10.9.0.1:2379"},
                                                     .caFile = "/etc/etcd/ca.crt",
                                                     .certFile = "/etc/etcd/client.crt",
                                                     .keyFile = "/etc/etcd/client.key"};
}

inline void useProxy(Facts& facts, std::string exceptions) {
  facts.proxyVariables = {{"HTTPS_PROXY", "http://user:s3cret@proxy:3128"}, {"NO_PROXY", std::move(exceptions)}};
}

inline config::PortOwner nginx(int port, std::string address = "0.0.0.0") {
  return {.port = port, .address = std::move(address), .pid = 812, .process = "nginx", .unit = "nginx.service"};
}

inline void useIpv6Only(Setup& setup) {
  setup.cluster.networks.services = {cidr("fd00:96::/112")};
  setup.cluster.networks.pods = {cidr("fd00:244::/56")};
  setup.node.advertiseAddress = ip("fd00:5::11");
}

inline void useCgroupsV1(Facts& facts) {
  facts.cgroup = {
      .unified = false,
      .controllers = {"cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "hugetlb", "blkio"}};
}

inline constexpr auto manifests = "/etc/kubernetes/manifests/";

/// What a row says about a machine on which one thing is wrong.
struct Case {
  std::string check;
  Severity severity;
  void (*spoil)(Facts&);
  std::vector<std::string_view> evidence; ///< all of these are in it
  std::string_view remedy;                ///< is in it
  void (*prepare)(Setup&) = nullptr;      ///< makes the check apply, where it does not with the plain setup
  void (*ask)(Setup&) = nullptr;          ///< asks for what is wrong, where that is no fact
  Purpose purpose = Purpose::init;
};

/// Of the checks that only kubestrap has.
std::span<const Case> kubestrapCases();

} // namespace kubestrap::phases
