// docs/troubleshooting.md quotes what the program says: each quoted message has to be one that the sources can make.
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace kubestrap::plan {

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

std::string textOf(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Literals that stand side by side are one to the compiler, and here.
std::string withLiteralsJoined(const std::string& source) {
  std::string joined;
  for (std::size_t at = 0; at < source.size(); ++at) {
    if (source[at] == '"' && at > 0 && source[at - 1] != '\\')
      if (const auto next = source.find_first_not_of(" \n", at + 1); next != source.npos && next > at + 1 && source[next] == '"') {
        at = next;
        continue;
      }
    joined += source[at];
  }
  return joined;
}

std::string productSources() {
  std::string all;
  for (const auto* room : {"cmd", "phases", "plan", "config", "certs", "manifests", "kube", "etcd", "host", "net", "support"})
    for (const auto& entry : fs::directory_iterator(fs::path(KUBESTRAP_SOURCE_DIR) / room))
      if (entry.path().extension() == ".cpp") all += withLiteralsJoined(textOf(entry.path()));
  return all;
}

/// A word that stands for what the program puts there: in capitals, three dots, and the unit's name.
bool stands(const std::string& word) {
  const auto isCapital = [](unsigned char c) { return std::isupper(c) != 0; };
  return word == "..." || word == "kubelet" || (std::ranges::any_of(word, isCapital) && std::ranges::all_of(word, [&](unsigned char c) {
                                                  return isCapital(c) || std::ispunct(c);
                                                }));
}

/// "cannot sign NAME: FILE is absent" -> "cannot sign", "is absent".
Lines fixedParts(const std::string& message) {
  Lines parts(1);
  for (const auto& word : split(message, ' ')) {
    if (stands(word)) parts.emplace_back();
    else parts.back() += (parts.back().empty() ? "" : " ") + word;
  }
  std::erase(parts, "");
  std::erase(parts, "the");
  return parts;
}

/// The first quotation of each row of the page's table.
Lines quotedMessages(const std::string& page) {
  Lines messages;
  for (const auto& line : split(page, '\n'))
    if (line.starts_with("| `")) messages.push_back(line.substr(3, line.find('`', 3) - 3));
  return messages;
}

} // namespace

TEST_CASE("every message that docs/troubleshooting.md quotes is one of the program's") {
  const auto messages = quotedMessages(textOf(KUBESTRAP_SOURCE_DIR "/docs/troubleshooting.md"));
  REQUIRE(messages.size() > 10);
  const auto sources = productSources();
  for (const auto& message : messages) {
    const auto parts = fixedParts(message);
    CAPTURE(message);
    CHECK_FALSE(parts.empty());
    for (const auto& part : parts) {
      CAPTURE(part);
      CHECK(sources.find(part) != sources.npos);
    }
  }
}

TEST_CASE("a message is taken apart into what is fixed in it") {
  CHECK(fixedParts("cannot sign NAME: FILE is absent") == Lines{"cannot sign", "is absent"});
  CHECK(fixedParts("the kubelet ends again and again ...") == Lines{"ends again and again"});
  CHECK(withLiteralsJoined("f(\"one \"\n   \"two\", \"three\")") == "f(\"one two\", \"three\")");
}

} // namespace kubestrap::plan
