#include "phases/preflight.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

namespace kubestrap::phases {

namespace {

std::string levelName(Check::Level level) {
  switch (level) {
  case Check::Level::warning: return "warning";
  case Check::Level::error: return "error";
  case Check::Level::either: return "error or warning";
  }
  return "";
}

std::string purposes(const Runs& on) {
  std::vector<std::string> names;
  if (on.init) names.emplace_back("init");
  if (on.joinControlPlane) names.emplace_back("control plane");
  if (on.joinWorker) names.emplace_back("worker");
  return names.size() == 3 ? "all" : join(names, ", ");
}

std::string tableForOperators() {
  std::string text = "| check | level | for | speaks up when | what to do | `--fix` |\n|---|---|---|---|---|---|\n";
  for (const auto& check : checks()) {
    text += "| `" + std::string(check.name) + "`" + (check.from == Check::From::kubestrap ? " (not in kubeadm)" : "") +
            " | " + levelName(check.level) + " | " + purposes(check.on) + " | ";
    text += replaceAll(std::string(check.fires), "|", "\\|") + " | " +
            replaceAll(std::string(check.remedy), "|", "\\|") + " | " + (check.fix ? "yes" : "") + " |\n";
  }
  return text;
}

} // namespace

TEST_CASE("docs/preflight.md holds the table of checks as the code has it") {
  std::ifstream file(KUBESTRAP_SOURCE_DIR "/docs/preflight.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const auto begin = page.find("| check | level |");
  REQUIRE(begin != page.npos);
  const auto end = page.find("\n\n", begin);
  REQUIRE(end != page.npos);
  // When this fails, the expected text shown here is what belongs into the page.
  CHECK(page.substr(begin, end + 1 - begin) == tableForOperators());
}

} // namespace kubestrap::phases
