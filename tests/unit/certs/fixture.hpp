#pragma once
// An authority, certificates of it, and the openssl command as an independent judge.

#include "certs/key.hpp"
#include "certs/x509.hpp"
#include "support/error.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace kubestrap::certs {

inline TimePoint at(std::string_view rfc3339) { return parseRfc3339(rfc3339); }

/// A year from the summer of 2026 on, and a serial number of 1.
Issuance aYear();

struct Pair {
  PrivateKey key;
  X509Certificate certificate;
};
Pair makeAuthority(const std::string& commonName = "kubernetes", KeyAlgorithm algorithm = KeyAlgorithm::ecdsaP256);
/// Named "leaf", for whatever `names` holds.
Pair makeLeaf(const Pair& authority, AlternativeNames names = {});

/// A folder of its own for a test, gone afterwards.
class TempFolder {
public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string write(std::string_view name, std::string_view content) const; ///< gives the path
  /// Runs a shell command in this folder and gives its standard output; a failing command fails the test.
  std::string run(const std::string& command) const;

private:
  std::filesystem::path path_;
};

std::string dataFile(std::string_view name); ///< content of a file beside the tests

/// The Error that `body` throws; the test fails without one.
template <typename Body> Error errorOf(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error was thrown");
  return Error("");
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace kubestrap::certs
