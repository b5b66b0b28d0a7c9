#include "cmd/complete.hpp"
#include "cmd/commands.hpp"
#include "cmd/globals.hpp"

#include "support/text.hpp"

#include <doctest/doctest.h>

namespace kubestrap::cmd {

namespace {

/// What is offered for the last word, with the kind of paths at the end where there is one.
std::string offered(const std::vector<std::string>& words) {
  const auto candidates = complete(rootCommand(), words, globalFlags(globals()));
  std::vector<std::string> names;
  for (const auto& word : candidates.words) names.push_back(word.text);
  if (candidates.paths == Candidates::Paths::files) names.emplace_back("(files)");
  if (candidates.paths == Candidates::Paths::folders) names.emplace_back("(folders)");
  return join(names, " ");
}

} // namespace

TEST_CASE("commands are completed to any depth, by other names too") {
  CHECK(offered({"in"}) == "init");
  CHECK(offered({"init", "phase", "kubeconfig", "s"}) == "super-admin scheduler");
  CHECK(offered({"certificates", "ch"}) == "check-expiration");
  CHECK(offered({"init", "phase", "uploadconfig", "kubel"}) == "kubelet");
}

TEST_CASE("flags are those of the command, hidden ones are left out") {
  CHECK(offered({"init", "--skip-"}) == "--skip-certificate-key-print --skip-phases --skip-token-print");
  CHECK(offered({"init", "phase", "certs", "ca", "--c"}) == "--cert-dir --config");
  CHECK(offered({"init", "phase", "control-plane", "scheduler", "--scheduler"}) == "");
  CHECK(offered({"token", "list", "--show"}) == "");
  CHECK(offered({"--ou"}) == "--output");
}

TEST_CASE("values are completed after a space, an equals sign and a comma") {
  CHECK(offered({"version", "-o", "j"}) == "json");
  CHECK(offered({"version", "--output", "="}) == "text json yaml");
  CHECK(offered({"version", "--output", "=", "y"}) == "yaml");
  CHECK(offered({"version", "--output=y"}) == "--output=yaml");
  CHECK(offered({"init", "--skip-phases", "certs/apiserver-e"}) == "certs/apiserver-etcd-client");
  CHECK(offered({"init", "--skip-phases", "preflight,etcd/"}) == "preflight,etcd/local");
}

TEST_CASE("where a path is wanted the shell offers its own") {
  CHECK(offered({"init", "--config", ""}) == "(files)");
  CHECK(offered({"init", "--patches", "/e"}) == "(folders)");
  CHECK(offered({"init", "--config", "x.yaml", "--cert-d"}) == "--cert-dir");
}

TEST_CASE("arguments are completed where they are known, and after -- nothing is a flag") {
  CHECK(offered({"completion", ""}) == "bash zsh fish");
  CHECK(offered({"completion", "--", "-"}) == "");
  CHECK(offered({"no", "such", ""}) == offered({""}));
}

TEST_CASE("the answer to a shell has a line a candidate and then the kind of paths") {
  CHECK(text({.words = {{"init", "Make it"}}}) == "init\tMake it\n:none\n");
  CHECK(text({.words = {}, .paths = Candidates::Paths::folders}) == ":folders\n");
}

} // namespace kubestrap::cmd
