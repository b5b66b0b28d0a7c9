#include "archive/reader.hpp"

#include "support/digest.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace kubestrap::archive {

namespace {

constexpr std::size_t pieceSize = std::size_t{256} << 10;
constexpr std::size_t smallLimit = std::size_t{64} << 10; // of a signature, and of what a delta says
const std::string anew = "copy it anew from where it was made; if it is the same there, have it made anew";

/// Why a name leads out of the folder that things are unpacked in.
bool leadsAway(std::string_view path) {
  if (path.empty() || path.front() == '/') return true;
  return std::ranges::any_of(split(path, '/'), [](const std::string& part) { return part == ".."; });
}

} // namespace

Give bytesOf(const fs::path& file) {
  struct Source {
    std::ifstream in;
    std::string piece = std::string(pieceSize, '\0');
  };
  auto source = std::make_shared<Source>();
  if (fs::is_directory(file)) throw Error(fmt::format("{} is a folder", file.string()), {}, ExitCode::usage);
  source->in.open(file, std::ios::binary);
  if (!source->in) throw Error(fmt::format("there is no file {}, or it cannot be read", file.string()), {}, ExitCode::usage);
  return [source, file]() -> std::string_view {
    source->in.read(source->piece.data(), static_cast<std::streamsize>(source->piece.size()));
    if (source->in.bad()) throw Error(fmt::format("cannot read {}", file.string()), "look at: dmesg");
    return std::string_view(source->piece).substr(0, static_cast<std::size_t>(source->in.gcount()));
  };
}

struct Reader::State {
  ZstdReader plain;
  TarReader tar;

  explicit State(const fs::path& file) : plain(bytesOf(file)), tar([this] { return plain.read(); }) {}
};

Reader::~Reader() = default;

Reader::Reader(fs::path file) : file_(std::move(file)) {
  const auto usable = fmt::format("{} is no bundle, or its beginning is damaged", file_.string());
  state_ = std::make_unique<State>(file_);
  while_(usable, [&] { pending_ = next(); });
  if (!pending_ || pending_->path != lockName || pending_->type != TarEntry::Type::file)
    throw Error(fmt::format("{} is no bundle: its first part is not {}", file_.string(), lockName), "kubestrap bundle create makes one");
  lockText_ = text(*pending_, lockLimit);
  lockDigest_ = sha256Hex(lockText_);
  while_(fmt::format("reading {}", file_.string()), [&] { lock_ = parseLock(lockText_, std::string(lockName)); });
  pending_ = next();
  if (pending_ && pending_->path == signatureName) {
    signature_ = text(*pending_, smallLimit);
    pending_ = next();
  }
  if (pending_ && pending_->path == deltaName) {
    base_ = stringAt(parseJson(text(*pending_, smallLimit), std::string(deltaName)), "base");
    pending_ = next();
  }
}

std::optional<TarEntry> Reader::next() {
  return while_(fmt::format("reading {}", file_.string()), [&] { return state_->tar.next(); });
}

std::string Reader::text(const TarEntry& entry, std::size_t limit) {
  if (entry.type != TarEntry::Type::file || entry.size > limit) throw Error(fmt::format("{}: {} is larger than it may be, or no file", file_.string(), entry.path), anew);
  std::string all;
  while_(fmt::format("reading {} of {}", entry.path, file_.string()), [&] {
    for (auto piece = state_->tar.read(); !piece.empty(); piece = state_->tar.read()) all += piece;
  });
  return all;
}

/// The part that an entry is, if it may be here.
const Member& Reader::expected(const TarEntry& entry, const std::string& before) const {
  const auto refuse = [&](const std::string& why) { throw Error(fmt::format("{}: the part \"{}\" {}", file_.string(), entry.path, why), "do not use it: nothing of kubestrap's has written this"); };
  if (leadsAway(entry.path)) refuse("would leave its folder");
  if (entry.type == TarEntry::Type::link) refuse(fmt::format("is a link, to {}", entry.target));
  if (entry.type != TarEntry::Type::file) refuse("is no file");
  const auto* member = lock_.find(entry.path);
  if (!member) refuse("is not in the lock file");
  if (entry.path <= before) refuse("is there twice, or not in its place");
  if (entry.size != member->size) throw Error(fmt::format("{}: {} has {} octets, and not {} as the lock file says", file_.string(), entry.path, entry.size, member->size), anew);
  return *member;
}

void Reader::take(const Member& member, Sink& sink, std::uint64_t& done, const Progress& progress) {
  Sha256 sum;
  while_(fmt::format("reading {} of {}", member.path, file_.string()), [&] {
    sink.begin(member);
    for (auto piece = state_->tar.read(); !piece.empty(); piece = state_->tar.read()) {
      sum.add(piece);
      sink.data(piece);
      done += piece.size();
      if (progress) progress(done, lock_.size());
    }
  });
  if (const auto found = hex(sum.digest()); found != member.sha256)
    throw Error(fmt::format("{}: {} is not what the lock file says: its sha256 is {}, and not {}", file_.string(), member.path, found, member.sha256), anew);
  sink.end(member);
}

/// Behind the last part there is nothing but what fills up a tar, and the sum of the whole is right.
void Reader::expectEnd() {
  while_(fmt::format("reading the end of {}", file_.string()), [&] {
    for (auto piece = state_->plain.read(); !piece.empty(); piece = state_->plain.read())
      if (std::ranges::any_of(piece, [](char c) { return c != 0; })) throw Error("there is something behind its end", anew);
  });
}

std::set<std::string> Reader::walk(Sink& sink, const Progress& progress) {
  std::set<std::string> came;
  std::string before;
  std::uint64_t done = 0;
  for (; pending_; pending_ = next()) {
    const auto& member = expected(*pending_, before);
    take(member, sink, done, progress);
    came.insert(before = member.path);
  }
  if (!base_)
    for (const auto& member : lock_.members)
      if (!came.contains(member.path)) throw Error(fmt::format("{}: {} is missing", file_.string(), member.path), anew);
  expectEnd();
  return came;
}

Signature judge(const Reader& bundle, const std::vector<certs::PublicKey>& trusted) {
  const auto refuse = [&](const std::string& what) {
    throw Error(fmt::format("{} {}", bundle.file().string(), what), "have it signed: kubestrap bundle create --sign-key KEY; or name the key that has signed it with --key", ExitCode::refused);
  };
  if (!bundle.signature()) {
    if (!trusted.empty()) refuse("is not signed, and a key is trusted here");
    return {};
  }
  for (const auto& key : trusted)
    if (key.verifies(*bundle.signature(), bundle.lockText())) return {Signature::Standing::trusted, key.fingerprint()};
  if (!trusted.empty()) refuse("is signed, but not by a key that is trusted here");
  return {Signature::Standing::unknown, {}};
}

} // namespace kubestrap::archive
