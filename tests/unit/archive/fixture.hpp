#pragma once

#include "archive/create.hpp"
#include "archive/verify.hpp"
#include "tests/unit/host/fixture.hpp"

#include <map>
#include <string>
#include <vector>

namespace kubestrap::archive {

using host::messageOf;
using host::TempFolder;

/// What begins like a program for that architecture.
std::string program(std::string_view architecture, std::string_view text);

/// An OCI layout in a tar with one image, as others write it.
std::string ociArchive(const std::string& name, const std::string& layer, const std::string& architecture = "amd64");

/// A folder that a bundle can be made from, with a part of each kind, and bundles beside it.
struct Workshop {
  Workshop();
  TempFolder temp;
  certs::PrivateKey key = certs::PrivateKey::generate(certs::KeyAlgorithm::ed25519);
  std::vector<certs::PublicKey> trusted = certs::PublicKey::parseAll(key.publicPem(), "key.pub");

  fs::path at(const std::string& name) const { return temp.folder / name; }
  /// A bundle of what is in "in", signed.
  fs::path make(const std::string& name);
  Making making(const std::string& name) const;
  /// What `verify` says of it: "good", or its words.
  std::string verdict(const fs::path& file) const;
  std::string verdict(const Source& source, Alone alone = Alone::no) const;
};

/// The parts of a bundle as they are packed, to be put together otherwise.
struct RawPart {
  std::string path, content;
  char type = '0';
  std::string target;
};
std::vector<RawPart> unpacked(const fs::path& bundle);
void pack(const std::vector<RawPart>& parts, const fs::path& bundle);

std::string contentOf(const fs::path& file);
void put(const fs::path& file, std::string_view content);

} // namespace kubestrap::archive
