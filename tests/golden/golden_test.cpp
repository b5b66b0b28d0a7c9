// What a configuration means as a whole. Each folder below cases/ holds
//   setup.yaml      kubeadm's documents and KubestrapConfiguration
//   machine.yaml    optional: what the machine is like, and how it came there
//     hostname, proxyVariables, systemdResolved
//     externalAuthority: everything is there already, but this authority's key
//     phases: the only ones that run
//     flags, rotatedCertificate: for tests/fidelity
//   patches/        optional: what --patches would name
//   changes.diff    by what all files and objects differ from those of the case `defaults`, which has them in expected/
// After a change that is meant, KUBESTRAP_ACCEPT=1 writes these anew; that run fails, so that it is never taken for a
// test, and the differences are there to be reviewed with the change. tests/fidelity holds the same cases against the
// real kubeadm.
#include "config/patches.hpp"
#include "plan/kinds.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"
#include "tests/golden/files.hpp"
#include "tests/golden/render.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

namespace fs = std::filesystem;
using namespace kubestrap;
using namespace kubestrap::golden;

namespace {

const fs::path cases = fs::path(KUBESTRAP_SOURCE_DIR) / "tests/golden/cases";

struct Machine {
  config::Facts facts = machine();
  Making making;
};

Machine machineOf(const fs::path& folder) {
  Machine found;
  if (!fs::exists(folder / "machine.yaml")) return found;
  Value differences = parseYamlValue(readFile(folder / "machine.yaml"), "machine.yaml");
  found.facts.hostname = stringAt(differences, "hostname", found.facts.hostname);
  found.facts.resolved.active = differences.value("systemdResolved", false);
  if (const Value* variables = find(differences, "proxyVariables"))
    for (const auto& [name, value] : variables->items())
      if (value != "") found.facts.proxyVariables[name] = value.get<std::string>();
  found.making.externalAuthority = stringAt(differences, "externalAuthority");
  if (const Value* phases = find(differences, "phases")) found.making.phases = phases->get<std::vector<std::string>>();
  return found;
}

std::vector<config::PatchFile> patchFiles(const fs::path& folder) {
  std::vector<config::PatchFile> files;
  if (fs::exists(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      files.push_back({entry.path().filename().string(), readFile(entry.path())});
  std::ranges::sort(files, {}, &config::PatchFile::name);
  return files;
}

/// The first line that differs, with what was expected there.
std::string firstDifference(const std::string& found, const std::string& expected) {
  std::vector<std::string> a = split(found, '\n'), b = split(expected, '\n');
  std::size_t line = 0;
  while (line < a.size() && line < b.size() && a[line] == b[line]) ++line;
  auto at = [&](const std::vector<std::string>& lines) { return line < lines.size() ? lines[line] : "(end)"; };
  return "line " + std::to_string(line + 1) + ": \"" + at(a) + "\", expected \"" + at(b) + "\"";
}

using Files = std::map<std::string, std::string>;

Files filesBelow(const fs::path& folder) {
  Files files;
  if (fs::exists(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      files[entry.path().filename().string()] = readFile(entry.path());
  return files;
}

Files made(const std::string& name, const Machine& machine) {
  const fs::path folder = cases / name;
  try {
    Loaded loaded = load(readFile(folder / "setup.yaml"), "setup.yaml", machine.facts);
    loaded.setup.request.patches = config::parsePatches(patchFiles(folder / "patches"), loaded.warnings);
    loaded.setup.node.externalAuthority = machine.making.externalAuthority == "ca";
    Files files = render(loaded);
    files["files.txt"] = filesOf(loaded.setup, machine.facts, machine.making);
    return files;
  } catch (const Error& error) {
    FAIL(error.message());
  }
  return {};
}

/// What is other than with the defaults, file by file.
std::string changes(const Files& defaults, const Files& files) {
  std::string text;
  for (const auto& [name, content] : files) {
    const auto base = defaults.find(name);
    if (base != defaults.end() && base->second == content) continue;
    text += "==== " + name + "\n";
    text += plan::lineDiff(base == defaults.end() ? "" : base->second, content, std::string::npos);
  }
  for (const auto& [name, content] : defaults)
    if (!files.contains(name)) text += "==== " + name + " is not there\n";
  return text;
}

void writeNew(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

constexpr const char* kAccepted =
    "accepted what this configuration gives now; look at the differences, and run again without KUBESTRAP_ACCEPT";

/// A case beside the defaults.
void check(const std::string& name) {
  const Machine machine = machineOf(cases / name);
  const Machine plain{.making = {.phases = machine.making.phases}};
  const std::string found = changes(made("defaults", plain), made(name, machine));
  const fs::path file = cases / name / "changes.diff";
  const std::string expected = fs::exists(file) ? readFile(file) : "";
  if (found == expected) return;
  if (std::getenv("KUBESTRAP_ACCEPT")) {
    writeNew(file, found);
    FAIL(kAccepted);
  }
  FAIL_CHECK(name << "/changes.diff, " << firstDifference(found, expected));
}

/// Each file with its lines; the others are held against these.
void checkDefaults() {
  const fs::path folder = cases / "defaults/expected";
  const Files found = made("defaults", {}), expected = filesBelow(folder);
  if (found == expected) return;
  if (std::getenv("KUBESTRAP_ACCEPT")) {
    fs::remove_all(folder);
    for (const auto& [name, text] : found) writeNew(folder / name, text);
    FAIL(kAccepted);
  }
  for (const auto& [file, text] : expected)
    if (!found.contains(file)) FAIL_CHECK("expected/" << file << " does not arise any more");
  for (const auto& [file, text] : found) {
    auto wanted = expected.find(file);
    if (wanted == expected.end())
      FAIL_CHECK("expected/" << file << " is new");
    else if (wanted->second != text)
      FAIL_CHECK("expected/" << file << ", " << firstDifference(text, wanted->second));
  }
}

} // namespace

TEST_CASE("a configuration that says nothing gives kubeadm's defaults") { checkDefaults(); }
TEST_CASE("two address families for pods and Services") { check("dual-stack"); }
TEST_CASE("two address families, IPv6 first") { check("dual-stack-ipv6-first"); }
TEST_CASE("a cluster without IPv4") { check("ipv6-only"); }
TEST_CASE("an etcd that runs elsewhere, its files in several folders") { check("external-etcd"); }
TEST_CASE("an etcd whose files lie beside the cluster's own") { check("external-etcd-beside"); }
TEST_CASE("an etcd that runs elsewhere without TLS") { check("plain-etcd"); }
TEST_CASE("extra arguments, volumes, variables and patches for every component") { check("extras-and-patches"); }
TEST_CASE("arguments in which one part decides about another") { check("odd-arguments"); }
TEST_CASE("another registry, other names, folders and ports at once") { check("custom-names"); }
TEST_CASE("images of an own registry, with own tags") { check("images"); }
TEST_CASE("other folders for certificates and etcd's data") { check("folders"); }
TEST_CASE("RSA keys of 2048 bits") { check("rsa-2048"); }
TEST_CASE("RSA keys of 3072 bits") { check("rsa-3072"); }
TEST_CASE("RSA keys of 4096 bits") { check("rsa-4096"); }
TEST_CASE("ECDSA keys on P-384") { check("ecdsa-p384"); }
TEST_CASE("other lifetimes of certificates and authorities") { check("lifetimes"); }
TEST_CASE("wildcards, capitals and addresses among the names of certificates") { check("certificate-names"); }
TEST_CASE("another domain and range for Services") { check("dns-domain"); }
TEST_CASE("another port for the API server, behind a balancer") { check("bind-port"); }
TEST_CASE("another container runtime") { check("other-runtime"); }
TEST_CASE("a node with a name, taints and labels of its own") { check("taints-and-labels"); }
TEST_CASE("proxy variables of the machine") { check("proxy-variables"); }
TEST_CASE("configurations for the kubelet and kube-proxy") { check("kubelet-and-proxy"); }
TEST_CASE("the Kubernetes before") { check("older-kubernetes"); }
TEST_CASE("addons that are not wanted") { check("without-addons"); }
TEST_CASE("an addon whose phase is skipped") { check("skipped-addons"); }
TEST_CASE("a cluster's authority without its key") { check("external-ca"); }
TEST_CASE("a front proxy's authority without its key") { check("external-front-proxy-ca"); }
TEST_CASE("an etcd's authority without its key") { check("external-etcd-ca"); }

TEST_CASE("a difference between two cases is told line by line") {
  CHECK(changes({{"a", "1\n2\n"}, {"b", "1\n"}, {"c", "1\n"}}, {{"a", "1\n3\n"}, {"c", "1\n"}, {"d", "4\n"}}) ==
        "==== a\n 1\n-2\n+3\n==== d\n+4\n==== b is not there\n");
}

TEST_CASE("every folder below cases has its test") {
  std::set<std::string> folders, tested;
  for (const fs::directory_entry& entry : fs::directory_iterator(cases))
    folders.insert(entry.path().filename().string());
  const std::string source = readFile(fs::path(KUBESTRAP_SOURCE_DIR) / "tests/golden/golden_test.cpp");
  for (const std::string& name : folders)
    if (source.find("check(\"" + name + "\")") != std::string::npos || name == "defaults") tested.insert(name);
  CHECK(tested == folders);
}
