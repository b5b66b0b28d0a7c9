#include "archive/create.hpp"

#include "archive/image.hpp"
#include "archive/scratch.hpp"
#include "archive/spdx.hpp"
#include "archive/verify.hpp"
#include "host/file_writer.hpp"
#include "support/digest.hpp"
#include "support/encoding.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kubestrap::archive {

namespace {

/// What bundles and deltas are written by: tar within zstd, into a file that is there as a whole or not at all.
class Packing {
public:
  explicit Packing(const fs::path& target)
      : target_(fs::absolute(target)), file_(target_), zstd_([this](std::string_view bytes) { file_.write(bytes); }), tar_([this](std::string_view bytes) { zstd_.write(bytes); }) {}

  TarWriter& tar() { return tar_; }
  /// What stands before all parts.
  void head(const std::string& lock, const std::optional<std::string>& signature) {
    tar_.add(std::string(lockName), lock, 0644);
    if (signature) tar_.add(std::string(signatureName), *signature, 0644);
  }
  void finish() {
    tar_.finish();
    zstd_.finish();
    file_.commit();
    fs::permissions(target_, fs::perms(0644)); // there is no secret in it
  }

private:
  fs::path target_;
  host::FileWriter file_;
  ZstdWriter zstd_;
  TarWriter tar_;
};

/// A part, and where its octets are: in a file, or here.
struct Content {
  fs::path file;
  std::string text;
};

Give bytesOf(const Content& content) {
  if (!content.file.empty()) return archive::bytesOf(content.file);
  return [rest = std::string_view(content.text)]() mutable { return std::exchange(rest, {}); };
}

/// Reads a file for what is said of it, and of whom it is for.
void examine(Input& input, std::string_view architecture) {
  auto& member = input.member;
  Sha256 sum;
  std::string head;
  const auto next = archive::bytesOf(input.file);
  for (auto piece = next(); !piece.empty(); piece = next()) {
    if (head.empty()) head = piece.substr(0, 64);
    sum.add(piece);
    member.size += piece.size();
  }
  member.sha256 = hex(sum.digest());
  std::optional<std::string> foreign;
  if (member.kind == Kind::program || member.kind == Kind::cni) foreign = foreignProgram(head, architecture);
  if (member.kind == Kind::package) foreign = foreignPackage(member.path, architecture);
  if (foreign) throw Error(fmt::format("{}: {}", input.file.string(), *foreign), "a bundle is for one architecture: make one for each, or say which in bundle.yaml");
}

/// The images of all archives, by name. One that is there twice has to be the same.
std::map<std::string, Image> imagesOf(const Inputs& inputs, Blobs& blobs) {
  std::map<std::string, Image> images;
  for (const auto& archive : inputs.archives) {
    for (auto& image : readImages(archive, inputs.configuration.architecture, blobs)) {
      const auto& said = inputs.configuration.licences;
      if (const auto found = said.find(image.name); found != said.end()) image.licence = found->second;
      else if (image.licence.empty()) image.licence = usualLicence(image.name);
      const auto [there, isNew] = images.emplace(image.name, image);
      if (!isNew && there->second.manifest != image.manifest)
        throw Error(fmt::format("the image {} is there twice, and not the same: {} and {}", image.name, there->second.manifest, image.manifest), "take one of the archives away");
    }
  }
  return images;
}

std::map<std::string, std::string> addonsOf(const Inputs& inputs) {
  std::map<std::string, std::string> addons;
  for (const auto& input : inputs.files) {
    if (input.member.kind != Kind::manifest) continue;
    auto& text = addons[input.member.path];
    const auto next = archive::bytesOf(input.file);
    for (auto piece = next(); !piece.empty(); piece = next()) text += piece;
  }
  return addons;
}

/// Writes a part, and sees that it is what was said of it.
void pack(TarWriter& tar, const Member& member, const Content& content) {
  Sha256 sum;
  std::uint64_t size = 0;
  const auto changed = [&] { return Error(fmt::format("{} changed while it was read", content.file.string()), "run the command again"); };
  tar.begin(member.path, member.size, rowOf(member.kind).mode);
  const auto next = bytesOf(content);
  for (auto piece = next(); !piece.empty(); piece = next()) {
    if ((size += piece.size()) > member.size) throw changed();
    sum.add(piece);
    tar.write(piece);
  }
  if (hex(sum.digest()) != member.sha256) throw changed();
}

} // namespace

Made create(const Making& making, const Progress& progress) {
  auto inputs = making.inputs;
  const Scratch scratch(making.target, "parts");
  Blobs blobs(scratch.folder());
  Made made{.lock = {.architecture = inputs.configuration.architecture, .kubernetesVersion = inputs.configuration.kubernetesVersion, .members = {}, .images = {}}, .lockDigest = {}, .missing = {}};
  auto& lock = made.lock;
  std::map<std::string, Content> contents;

  for (auto& input : inputs.files) {
    examine(input, lock.architecture);
    contents[input.member.path] = {input.file, {}};
    lock.members.push_back(input.member);
  }
  const auto images = imagesOf(inputs, blobs);
  std::map<std::string, std::string> licenceOf; // of blobs: their image's
  for (const auto& [name, image] : images) {
    lock.images.push_back(image);
    for (const auto& digest : image.blobs()) licenceOf.emplace(digest, image.licence);
  }
  for (const auto& [digest, licence] : licenceOf) {
    lock.members.push_back({.path = blobPath(digest), .kind = Kind::blob, .version = {}, .size = blobs.sizes().at(digest), .sha256 = digest.substr(digest.find(':') + 1), .licence = licence});
    contents[blobPath(digest)] = {blobs.file(digest), {}};
  }
  std::ranges::sort(lock.members, {}, &Member::path);
  made.missing = missingImages(lock, addonsOf(inputs));

  // From here on the lock is complete but for the list, which is made of it.
  auto list = spdxOf(lock, making.created, making.tool);
  lock.members.push_back({.path = std::string(listName), .kind = Kind::list, .version = {}, .size = list.size(), .sha256 = sha256Hex(list), .licence = "CC0-1.0"});
  std::ranges::sort(lock.members, {}, &Member::path);
  contents[std::string(listName)] = {{}, std::move(list)};
  const auto text = emitLock(lock);
  if (text.size() > lockLimit) throw Error("there are too many parts for one bundle", "make two");
  made.lockDigest = sha256Hex(text);

  Packing packing(making.target);
  packing.head(text, making.key ? std::optional(certs::signDetached(*making.key, text)) : std::nullopt);
  std::uint64_t done = 0;
  for (const auto& member : lock.members) {
    pack(packing.tar(), member, contents.at(member.path));
    if (progress) progress(done += member.size, lock.size());
  }
  packing.finish();
  return made;
}

namespace {

/// Writes those parts that an older bundle lacks.
class Lacking : public Sink {
public:
  Lacking(const Lock& older, TarWriter& tar) : older_(older), tar_(tar) {}
  void begin(const Member& member) override {
    const auto* same = older_.find(member.path);
    passing_ = !same || same->sha256 != member.sha256;
    if (!passing_) return;
    tar_.begin(member.path, member.size, rowOf(member.kind).mode);
    ++made.parts;
    made.octets += member.size;
  }
  void data(std::string_view bytes) override {
    if (passing_) tar_.write(bytes);
  }
  void end(const Member&) override {}

  DeltaMade made;

private:
  const Lock& older_;
  TarWriter& tar_;
  bool passing_ = false;
};

} // namespace

DeltaMade makeDelta(const fs::path& older, const fs::path& newer, const fs::path& target, const std::vector<certs::PublicKey>& trusted, const Progress& progress) {
  NoSink none;
  const auto base = verify({older, {}}, trusted, none, Alone::no, progress);
  Reader head(newer);
  if (head.base()) throw Error(fmt::format("{} is a delta itself", newer.string()), "name two whole bundles", ExitCode::usage);
  if (head.lock().architecture != base.lock.architecture)
    throw Error(fmt::format("{} is for {}, and {} for {}", newer.string(), head.lock().architecture, older.string(), base.lock.architecture), {}, ExitCode::usage);
  Packing packing(target);
  packing.head(head.lockText(), head.signature());
  packing.tar().add(std::string(deltaName), Value{{"base", base.lockDigest}}.dump() + '\n', 0644);
  Lacking lacking(base.lock, packing.tar());
  const auto verified = verify({newer, {}}, trusted, lacking, Alone::no, progress);
  if (verified.lockDigest != head.lockDigest()) throw Error(fmt::format("{} changed while it was read", newer.string()), "run the command again");
  packing.finish();
  return lacking.made;
}

} // namespace kubestrap::archive
