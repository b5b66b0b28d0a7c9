// What a configuration means as a whole. Each folder below cases/ holds
//   setup.yaml      kubeadm's documents and KubestrapConfiguration
//   machine.yaml    optional: hostname, proxyVariables, systemdResolved of the machine
//   patches/        optional: what --patches would name
//   expected/       every file and object that follows from them
// After a change that is meant, KUBESTRAP_ACCEPT=1 writes expected/ anew; that run fails, so that it is never taken for
// a test, and the differences are there to be reviewed with the change.
#include "config/patches.hpp"
#include "support/error.hpp"
#include "support/text.hpp"
#include "support/yaml.hpp"
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

config::Facts machineOf(const fs::path& folder) {
  config::Facts facts = machine();
  if (!fs::exists(folder / "machine.yaml")) return facts;
  Value differences = parseYamlValue(readFile(folder / "machine.yaml"), "machine.yaml");
  facts.hostname = stringAt(differences, "hostname", facts.hostname);
  facts.resolved.active = differences.value("systemdResolved", false);
  if (const Value* variables = find(differences, "proxyVariables"))
    facts.proxyVariables = variables->get<std::map<std::string, std::string>>();
  return facts;
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

std::map<std::string, std::string> filesBelow(const fs::path& folder) {
  std::map<std::string, std::string> files;
  if (fs::exists(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      files[entry.path().filename().string()] = readFile(entry.path());
  return files;
}

void accept(const fs::path& folder, const std::map<std::string, std::string>& files) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const auto& [name, text] : files) std::ofstream(folder / name, std::ios::binary) << text;
}

void check(const std::string& name) {
  const fs::path folder = cases / name;
  std::map<std::string, std::string> found;
  try {
    Loaded loaded = load(readFile(folder / "setup.yaml"), "setup.yaml", machineOf(folder));
    loaded.setup.request.patches = config::parsePatches(patchFiles(folder / "patches"), loaded.warnings);
    found = render(loaded);
  } catch (const Error& error) {
    FAIL(error.message());
  }
  const std::map<std::string, std::string> expected = filesBelow(folder / "expected");
  if (found == expected) return;

  if (std::getenv("KUBESTRAP_ACCEPT")) {
    accept(folder / "expected", found);
    FAIL("accepted what this configuration gives now as expected; look at the differences, and run again without "
         "KUBESTRAP_ACCEPT");
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

TEST_CASE("a configuration that says nothing gives kubeadm's defaults") { check("defaults"); }
TEST_CASE("two address families for pods and Services") { check("dual-stack"); }
TEST_CASE("a cluster without IPv4") { check("ipv6-only"); }
TEST_CASE("an etcd that runs elsewhere") { check("external-etcd"); }
TEST_CASE("extra arguments, volumes, variables and patches for every component") { check("extras-and-patches"); }
TEST_CASE("another registry, other names, folders and ports") { check("custom-names"); }

TEST_CASE("every folder below cases has its test") {
  std::set<std::string> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(cases))
    folders.insert(entry.path().filename().string());
  CHECK(folders == std::set<std::string>{"custom-names", "defaults", "dual-stack", "external-etcd",
                                         "extras-and-patches", "ipv6-only"});
}
