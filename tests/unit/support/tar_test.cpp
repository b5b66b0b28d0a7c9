#include "support/tar.hpp"

#include "support/error.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;

namespace {

std::string archiveOf(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  for (const auto& [name, text] : files) archive += tar::header({.name = name, .mode = 0600, .size = text.size(), .modified = 1'790'000'000}) + text + tar::padding(text.size());
  return archive + tar::end();
}

} // namespace

TEST_CASE("an archive gives back what was put into it") {
  const auto archive = archiveOf({{"manifest.json", "{}"}, {"pki/ca.crt", std::string(1024, 'x')}, {"empty", ""}});
  CHECK(archive.size() % tar::block == 0);
  const auto files = tar::read(archive);
  REQUIRE(files.size() == 3);
  CHECK(files[0].first.name == "manifest.json");
  CHECK(files[0].first.mode == 0600);
  CHECK(files[0].first.modified == 1'790'000'000);
  CHECK(files[0].second == "{}");
  CHECK(files[1].second == std::string(1024, 'x'));
  CHECK(files[2].second.empty());
}

TEST_CASE("an archive that is cut off, damaged, or leads out of its folder is refused") {
  const auto archive = archiveOf({{"pki/ca.crt", std::string(1024, 'x')}});
  for (const std::size_t length : {0u, 100u, 512u, 1000u, 1536u}) CHECK_THROWS_AS(tar::read(archive.substr(0, length)), Error);
  auto damaged = archive;
  damaged[3] = 'X';
  CHECK_THROWS_AS(tar::read(damaged), Error);
  for (const auto* name : {"/etc/passwd", "../x", "a/../../x"}) CHECK_THROWS_AS(tar::read(archiveOf({{name, ""}})), Error);
  CHECK_THROWS_AS(tar::header({.name = std::string(101, 'n')}), Error);
}
