#include "kube/quantity.hpp"

#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace kubestrap::kube {

namespace {

constexpr double kilo = 1000, kibi = 1024;
constexpr std::array<std::pair<std::string_view, double>, 16> units{{{"", 1},
                                                                     {"n", 1 / kilo / kilo / kilo},
                                                                     {"u", 1 / kilo / kilo},
                                                                     {"m", 1 / kilo},
                                                                     {"k", kilo},
                                                                     {"M", kilo * kilo},
                                                                     {"G", kilo * kilo * kilo},
                                                                     {"T", kilo * kilo * kilo * kilo},
                                                                     {"P", kilo * kilo * kilo * kilo * kilo},
                                                                     {"E", kilo * kilo * kilo * kilo * kilo * kilo},
                                                                     {"Ki", kibi},
                                                                     {"Mi", kibi * kibi},
                                                                     {"Gi", kibi * kibi * kibi},
                                                                     {"Ti", kibi * kibi * kibi * kibi},
                                                                     {"Pi", kibi * kibi * kibi * kibi * kibi},
                                                                     {"Ei", kibi * kibi * kibi * kibi * kibi * kibi}}};

} // namespace

double quantity(std::string_view text) {
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = std::ranges::find(units, text.substr(static_cast<std::size_t>(end - text.data())), [](const auto& each) { return each.first; });
  if (failed != std::errc() || unit == units.end()) throw Error(fmt::format("\"{}\" is no quantity", text));
  return number * unit->second;
}

} // namespace kubestrap::kube
