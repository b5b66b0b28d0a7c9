// What etcd has stored, as a file: streamed by etcd itself, so that it is one moment's, and held against the sum that etcd sends behind it.
#include "etcd/client.hpp"

#include "plan/kinds.hpp"
#include "support/digest.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

constexpr std::size_t kSum = 32;
constexpr std::size_t kPiece = std::size_t{8} << 20; // what is synced at once

/// The file as it grows. The last octets that have come may be the sum, and are held back.
class Growing {
public:
  Growing(Path file, host::Host& host) : file_(std::move(file)), host_(host) { host_.remove(file_); }

  void add(std::string_view bytes) {
    waiting_ += bytes;
    if (waiting_.size() > kPiece + kSum) flush();
  }

  /// Throws Error unless it is a database, and whole.
  void finish() {
    if (waiting_.size() >= kSum) {
      const auto sum = waiting_.substr(waiting_.size() - kSum);
      flush();
      host_.append(file_, waiting_, 0600); // the sum stays behind the database: etcdutl wants it there
      if (isDatabase_ && sum_.digest() == sum) return;
    }
    host_.remove(file_);
    throw Error("the snapshot of etcd did not come whole: it is not what etcd has added up", "look at etcd's log, and try again");
  }

private:
  /// All but what may be the sum.
  void flush() {
    const auto count = waiting_.size() - kSum;
    const std::string_view piece(waiting_.data(), count);
    if (first_) isDatabase_ = beginsAsDatabase(piece);
    first_ = false;
    sum_.add(piece);
    host_.append(file_, piece, 0600);
    waiting_.erase(0, count);
  }

  /// bbolt's number in its first page (bbolt: internal/common/types.go).
  static bool beginsAsDatabase(std::string_view bytes) { return bytes.size() > 20 && bytes.substr(16, 4) == "\xed\xda\x0c\xed"; }

  Path file_;
  host::Host& host_;
  std::string waiting_;
  Sha256 sum_;
  bool first_ = true, isDatabase_ = false;
};

etcd::Identity identityOf(const EtcdAccess& access, host::Host& host) {
  const auto content = [&](const Path& path) {
    auto found = host.read(path);
    if (!found) throw Error(fmt::format("{} is absent", path.string()), "make it with: kubestrap init phase certs all");
    return *std::move(found);
  };
  return {.authorities = content(access.authority), .certificate = content(access.certificate), .key = Secret(content(access.key))};
}

} // namespace

Change needed(const SaveEtcdSnapshot& wanted, const Context& context) {
  Change change{.subject = subject(Task{wanted})};
  auto& host = context.world.host;
  const auto there = host.status(wanted.file), begun = host.status(wanted.newerThan);
  if (there && begun && there->modified >= begun->modified) return change;
  change.verb = there ? Verb::update : Verb::create;
  change.reason = there ? "it is of an earlier time" : "missing";
  return change;
}

void perform(const SaveEtcdSnapshot& wanted, const Change&, const Context& context) {
  auto& world = context.world;
  world.host.makeFolder(wanted.file.parent_path(), 0700);
  etcd::Client client(world.http, {wanted.endpoint}, identityOf(wanted.access, world.host));
  const auto part = wanted.file.string() + ".part";
  Growing file(part, world.host);
  client.snapshot(wanted.endpoint, [&](std::string_view bytes, std::uint64_t) { file.add(bytes); });
  file.finish();
  world.host.rename(part, wanted.file);
}

} // namespace kubestrap::plan
