#pragma once
// What the fuzzer feeds with bytes that nobody wrote. Each target reads them as the program would, and what can be read is written and
// read again. An Error is an answer; anything else that is thrown, a crash or a difference is a finding.

#include <span>
#include <string_view>

namespace kubestrap::fuzz {

struct Target {
  std::string_view name; ///< also of its folder in tests/fuzz/corpus
  void (*run)(std::string_view input);
};

std::span<const Target> targets();
const Target& target(std::string_view name); ///< throws std::out_of_range

} // namespace kubestrap::fuzz
