#pragma once
// YAML in, a Setup or a list of problems out.

#include "config/load.hpp"
#include "config/store.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace doctest {
template <> struct StringMaker<std::vector<std::string>> {
  static String convert(const std::vector<std::string>& lines) { return ("\n" + kubestrap::join(lines, "\n")).c_str(); }
};
} // namespace doctest

namespace kubestrap::config {

using Lines = std::vector<std::string>;

inline std::string dataFile(const std::string& name) {
  std::ifstream file(std::string(KUBESTRAP_SOURCE_DIR "/tests/unit/config/data/") + name);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A machine with one address and containerd.
inline Facts machine() {
  Facts facts;
  facts.hostname = "N1";
  facts.defaultAddress = IpAddress::v4(10, 88, 0, 11);
  facts.runtimeSockets = {"unix:///var/run/containerd/containerd.sock"};
  return facts;
}

/// Octets 0, 1, 2, ...: every call goes on where the last one ended.
inline RandomBytes counting() {
  return [next = 0](std::size_t count) mutable {
    std::string bytes;
    while (bytes.size() < count) bytes += static_cast<char>(next++);
    return bytes;
  };
}

inline std::vector<Document> documents(const std::string& yaml) {
  return yaml.empty() ? std::vector<Document>{} : parseYaml(yaml, "k.yaml");
}

inline Setup load(const std::string& yaml, const InitFlags& flags = {}, const Facts& facts = machine()) {
  Lines warnings;
  return loadInit(documents(yaml), flags, facts, counting(), warnings);
}

inline Lines warningsOf(const std::string& yaml, const InitFlags& flags = {}, const Facts& facts = machine()) {
  Lines warnings;
  loadInit(documents(yaml), flags, facts, counting(), warnings);
  return warnings;
}

inline Lines problemsOf(const std::string& yaml, const InitFlags& flags = {}, const Facts& facts = machine()) {
  Lines lines, warnings;
  try {
    loadInit(documents(yaml), flags, facts, counting(), warnings);
  } catch (const Problems& problems) {
    CHECK(problems.exitCode() == ExitCode::usage);
    for (const auto& problem : problems.list()) lines.push_back(describe(problem));
  }
  return lines;
}

/// The only problem there is.
inline std::string problemOf(const std::string& yaml, const InitFlags& flags = {}, const Facts& facts = machine()) {
  const auto lines = problemsOf(yaml, flags, facts);
  CHECK_MESSAGE(lines.size() == 1, join(lines, "\n"));
  return lines.empty() ? "" : lines.front();
}

inline std::string init(const std::string& body) {
  return "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n" + body;
}
inline std::string cluster(const std::string& body) {
  return "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n" + body;
}
inline std::string kubelet(const std::string& body) {
  return "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n" + body;
}
inline std::string proxy(const std::string& body) {
  return "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n" + body;
}
inline std::string kubestrap(const std::string& body) {
  return "apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\n" + body;
}
inline std::string stream(const Lines& documents) { return join(documents, "---\n"); }

} // namespace kubestrap::config
