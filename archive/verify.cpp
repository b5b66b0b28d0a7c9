#include "archive/verify.hpp"

#include "archive/image.hpp"
#include "support/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kubestrap::archive {

namespace {

/// Looks into the parts that say whom they are for, and passes all on.
class Examination : public Sink {
public:
  Examination(const Lock& lock, const std::string& file, Sink& next) : lock_(lock), file_(file), next_(next) {
    for (const auto& image : lock.images) {
      documents_[blobPath(image.manifest)];
      documents_[blobPath(image.configuration)];
    }
  }

  void begin(const Member& member) override {
    head_.clear();
    document_ = documents_.contains(member.path);
    if (document_ && member.size > documentLimit) throw Error(fmt::format("{}: {} is too large for what an image is described by", file_, member.path), "have the bundle made anew");
    next_.begin(member);
  }

  void data(std::string_view bytes) override {
    if (document_) head_ += bytes;
    else if (head_.size() < headSize) head_ += bytes.substr(0, headSize - head_.size());
    next_.data(bytes);
  }

  void end(const Member& member) override {
    std::optional<std::string> foreign;
    if (member.kind == Kind::program || member.kind == Kind::cni) foreign = foreignProgram(head_, lock_.architecture);
    if (member.kind == Kind::package) foreign = foreignPackage(member.path, lock_.architecture);
    if (foreign) throw Error(fmt::format("{}: {}: {}", file_, member.path, *foreign), "have the bundle made anew, with parts of one architecture");
    if (document_) documents_[member.path] = described(head_, member.path);
    next_.end(member);
  }

  /// What is said of images is what they say themselves.
  void judgeImages() const {
    for (const auto& image : lock_.images) {
      const auto& manifest = documents_.at(blobPath(image.manifest));
      const auto& configuration = documents_.at(blobPath(image.configuration));
      if (!manifest || !configuration) continue; // in the older bundle
      if (configuration->architecture != lock_.architecture)
        throw Error(fmt::format("{}: the image {} is for {}, not for {}", file_, image.name, configuration->architecture.empty() ? "no architecture" : configuration->architecture, lock_.architecture),
                    "have the bundle made anew, with images of one architecture");
      if (manifest->configuration != image.configuration || manifest->layers != image.layers)
        throw Error(fmt::format("{}: the image {} is made of other parts than the lock file says", file_, image.name), "have the bundle made anew");
    }
  }

private:
  static constexpr std::size_t headSize = 64, documentLimit = std::size_t{1} << 20;
  const Lock& lock_;
  std::string file_;
  Sink& next_;
  std::map<std::string, std::optional<ImageDocument>> documents_; ///< manifests and configurations of images, by their paths
  std::string head_;
  bool document_ = false;
};

/// Passes on what a delta lacks.
class Filling : public Sink {
public:
  Filling(const Lock& wanted, std::set<std::string>& lacking, Sink& next) : wanted_(wanted), lacking_(lacking), next_(next) {}
  void begin(const Member& member) override {
    const auto* same = lacking_.contains(member.path) ? wanted_.find(member.path) : nullptr;
    passing_ = same && same->sha256 == member.sha256;
    if (passing_) next_.begin(member);
  }
  void data(std::string_view bytes) override {
    if (passing_) next_.data(bytes);
  }
  void end(const Member& member) override {
    if (!passing_) return;
    next_.end(*wanted_.find(member.path));
    lacking_.erase(member.path);
  }

private:
  const Lock& wanted_;
  std::set<std::string>& lacking_;
  Sink& next_;
  bool passing_ = false;
};

void fill(const Reader& delta, const fs::path& older, const std::vector<certs::PublicKey>& trusted, std::set<std::string>& lacking, Sink& sink, const Progress& progress) {
  Reader base(older);
  judge(base, trusted);
  if (base.base()) throw Error(fmt::format("{} is a delta itself", older.string()), "name the whole bundle that it goes by", ExitCode::usage);
  if (base.lockDigest() != *delta.base())
    throw Error(fmt::format("{} does not go by {}, but by the bundle whose lock file has the digest {}", delta.file().string(), older.string(), *delta.base()),
                "kubestrap bundle inspect shows the digest of a bundle's lock file");
  Filling filling(delta.lock(), lacking, sink);
  base.walk(filling, progress);
  if (!lacking.empty()) throw Error(fmt::format("{} is neither in {} nor in {}", *lacking.begin(), delta.file().string(), older.string()), "have the delta made anew");
}

} // namespace

Verified verify(const Source& source, const std::vector<certs::PublicKey>& trusted, Sink& sink, Alone alone, const Progress& progress) {
  Reader bundle(source.file);
  Verified verified{.lock = bundle.lock(), .lockDigest = bundle.lockDigest(), .signature = judge(bundle, trusted), .delta = bundle.base().has_value(), .lacking = {}};
  if (source.base && !bundle.base()) throw Error(fmt::format("{} is whole: it goes by no other bundle", source.file.string()), "leave --base out", ExitCode::usage);
  if (!source.base && bundle.base() && alone == Alone::no)
    throw Error(fmt::format("{} is a delta, and has only what an older bundle lacks", source.file.string()), "name that bundle as well: --base OLD of bundle load, --bundle-base OLD of init, join and upgrade; a cluster.yaml takes whole bundles", ExitCode::usage);
  Examination examination(bundle.lock(), source.file.string(), sink);
  const auto came = bundle.walk(examination, progress);
  for (const auto& member : bundle.lock().members)
    if (!came.contains(member.path)) verified.lacking.insert(member.path);
  if (source.base) fill(bundle, *source.base, trusted, verified.lacking, examination, progress);
  examination.judgeImages();
  return verified;
}

} // namespace kubestrap::archive
