#include "certs/cms.hpp"

#include "support/error.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::certs;

namespace {

std::string sealed(const Recipients& recipients, const std::vector<std::string>& pieces) {
  std::string message;
  CmsWriter writer(recipients, [&](std::string_view bytes) { message += bytes; });
  for (const auto& piece : pieces) writer.write(piece);
  writer.finish();
  return message;
}

} // namespace

TEST_CASE("a message opens with its passphrase, and with no other") {
  const std::string large(3'000'000, 'x');
  const auto message = sealed({.certificates = {}, .passphrase = Secret("a long passphrase")}, {"one", "", large});
  CHECK(message.find(std::string(16, 'x')) == std::string::npos);
  CHECK(openCms(message, {.passphrase = Secret("a long passphrase"), .certificate = {}, .key = {}}).reveal() == "one" + large);
  CHECK_THROWS_AS(openCms(message, {.passphrase = Secret("another one"), .certificate = {}, .key = {}}), Error);
}

TEST_CASE("a message that was changed or cut off does not open") {
  const auto message = sealed({.certificates = {}, .passphrase = Secret("a long passphrase")}, {std::string(10'000, 'x')});
  const Opener opener{.passphrase = Secret("a long passphrase"), .certificate = {}, .key = {}};
  for (const std::size_t at : {message.size() / 2, message.size() - 10}) {
    auto changed = message;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    CHECK_THROWS_AS(openCms(changed, opener), Error);
  }
  CHECK_THROWS_AS(openCms(message.substr(0, message.size() / 2), opener), Error);
  CHECK_THROWS_AS(openCms("", opener), Error);
}

TEST_CASE("without a recipient nothing is written") {
  CHECK_THROWS_AS(CmsWriter({}, [](std::string_view) {}), Error);
  CHECK_THROWS_AS(CmsWriter({.certificates = {"no certificate"}, .passphrase = {}}, [](std::string_view) {}), Error);
}
