#include "manifests/flags.hpp"

#include <algorithm>
#include <tuple>

namespace kubestrap::manifests {

std::vector<std::string> flagList(std::vector<config::Arg> base, std::span<const config::Arg> extra) {
  auto text = [](const config::Arg& arg) { return "--" + arg.name + "=" + arg.value; };
  std::ranges::sort(base, {}, [](const config::Arg& arg) { return std::tie(arg.name, arg.value); });
  std::vector<std::string> flags;
  for (const config::Arg& arg : base)
    if (!lastValue(extra, arg.name)) flags.push_back(text(arg));
  for (const config::Arg& arg : extra) flags.push_back(text(arg));
  return flags;
}

const std::string* lastValue(std::span<const config::Arg> args, std::string_view name) {
  const std::string* value = nullptr;
  for (const config::Arg& arg : args)
    if (arg.name == name) value = &arg.value;
  return value;
}

std::string flagOf(std::span<const std::string> command, std::string_view name) {
  std::string prefix = "--" + std::string(name) + "=", value;
  for (const std::string& word : command)
    if (word.starts_with(prefix)) value = word.substr(prefix.size());
  return value;
}

} // namespace kubestrap::manifests
