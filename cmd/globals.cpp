#include "cmd/globals.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

Globals& globals() {
  static Globals instance;
  return instance;
}

std::vector<Flag> globalFlags(Globals& into) {
  return {{.name = "help", .into = &into.help, .doc = "This text", .letter = 'h'},
          {.name = "output", .into = &into.output, .doc = "How results are written: text, json or yaml", .letter = 'o', .value = "FORMAT",
           .standard = "text", .choices = {"text", "json", "yaml"}},
          {.name = "rootfs", .into = &into.rootfs, .doc = "Take files from, and write them to, this folder instead of /", .value = "DIR",
           .standard = "/"},
          {.name = "v", .into = &into.verbosity, .doc = "How much is told: 1 also what is kept, 7 requests, 8 their bodies", .letter = 0,
           .value = "LEVEL", .standard = "0"}};
}

Flag kubeconfigFlag(std::optional<std::string>& into, std::string doc) {
  return {.name = "kubeconfig", .into = &into, .doc = std::move(doc), .value = "FILE", .standard = "/etc/kubernetes/admin.conf"};
}

std::vector<Flag> withoutEffect(std::initializer_list<std::string_view> names) {
  static bool flag = false;
  static std::optional<std::string> value;
  std::vector<Flag> flags;
  for (const auto name : names) {
    const bool hasValue = name == "kubeconfig";
    flags.push_back({.name = std::string(name), .into = hasValue ? Into(&value) : Into(&flag), .doc = "Accepted, without effect",
                     .value = hasValue ? "FILE" : "", .shown = Flag::Shown::hidden});
  }
  return flags;
}

Format format(const Globals& globals) {
  if (globals.output == "text") return Format::text;
  if (globals.output == "json") return Format::json;
  if (globals.output == "yaml") return Format::yaml;
  throw Error(fmt::format("--output {} is not known", globals.output), "text, json or yaml", ExitCode::usage);
}

} // namespace kubestrap::cmd
