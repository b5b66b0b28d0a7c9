// Who gets a serving certificate: a kubelet for its own Node, and nobody else.
#include "phases/kubelet_serving.hpp"

#include <doctest/doctest.h>

#include <functional>

namespace kubestrap::phases::kubelet_serving {

namespace {

Value node(const std::string& name, const std::string& ip, const std::string& dns = "") {
  Value made{{"metadata", {{"name", name}}}, {"status", {{"addresses", Value::array({{{"type", "InternalIP"}, {"address", ip}}, {{"type", "Hostname"}, {"address", name}}})}}}};
  if (!dns.empty()) made["status"]["addresses"].push_back({{"type", "ExternalDNS"}, {"address", dns}});
  return made;
}

Request request() {
  return {.requester = "system:node:n1", .groups = {"system:nodes", "system:authenticated"}, .subject = {.commonName = "system:node:n1", .organizations = {"system:nodes"}},
          .names = {.dns = {"n1"}, .ips = {*IpAddress::parse("10.0.0.11")}}, .usages = {"digital signature", "server auth"}};
}

std::string verdict(const Request& asked, const std::vector<Value>& nodes) {
  const auto found = judge(asked, nodes);
  if (const auto* denied = std::get_if<Deny>(&found)) return "denied: " + denied->reason;
  if (const auto* waits = std::get_if<Wait>(&found)) return "waits: " + waits->reason;
  return "approved";
}

const std::vector<Value> two{node("n1", "10.0.0.11", "N1.example.org"), node("n2", "10.0.0.12")};

} // namespace

TEST_CASE("a kubelet that asks for its own Node's names and addresses is approved") {
  CHECK(verdict(request(), two) == "approved");
  auto all = request();
  all.names.dns.push_back("n1.Example.org");
  all.usages.push_back("key encipherment");
  CHECK(verdict(all, two) == "approved");
}

TEST_CASE("every other request is denied, with its reason") {
  const std::pair<std::function<void(Request&)>, std::string> cases[] = {
      {[](Request& asked) { asked.requester = asked.subject.commonName = "jane"; }, "denied: jane is no kubelet"},
      {[](Request& asked) { asked.groups = {"system:authenticated"}; }, "denied: system:node:n1 is no kubelet"},
      {[](Request& asked) { asked.requester = "system:node:n2"; }, "denied: it is for system:node:n1, and system:node:n2 asks"},
      {[](Request& asked) { asked.subject.organizations.push_back("system:masters"); }, "denied: its organization is not system:nodes alone"},
      {[](Request& asked) { asked.subject.organizations.clear(); }, "denied: its organization is not system:nodes alone"},
      {[](Request& asked) { asked.names = {}; }, "denied: it has no names and no addresses"},
      {[](Request& asked) { asked.otherNames = true; }, "denied: it has mail addresses or URIs"},
      {[](Request& asked) { asked.usages.push_back("client auth"); }, "denied: a serving certificate is not for \"client auth\""},
      {[](Request& asked) { asked.usages = {"digital signature"}; }, "denied: it is not for \"server auth\""},
      {[](Request& asked) { asked.names.dns.push_back("kubernetes.default"); }, "denied: Node n1 has not: kubernetes.default"},
      {[](Request& asked) { asked.names.ips = {*IpAddress::parse("10.0.0.12")}; }, "denied: Node n1 has not: 10.0.0.12"},
      {[](Request& asked) { asked.names.dns = {"10.0.0.11"}; }, "denied: Node n1 has not: 10.0.0.11"}, // an address is no name
  };
  for (const auto& [change, expected] : cases) {
    auto asked = request();
    change(asked);
    CHECK(verdict(asked, two) == expected);
  }
}

TEST_CASE("an address that another Node has as well is not given away") {
  CHECK(verdict(request(), {node("n1", "10.0.0.11"), node("n2", "10.0.0.11")}) == "denied: 10.0.0.11 is of Node n2 as well");
}

TEST_CASE("a Node that is not there yet may still come") { CHECK(verdict(request(), {node("n2", "10.0.0.12")}) == "waits: there is no Node n1"); }

} // namespace kubestrap::phases::kubelet_serving
