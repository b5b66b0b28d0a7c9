#include "archive/tar.hpp"

#include "support/error.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <exception>

namespace kubestrap::archive {

namespace {

constexpr std::size_t pieceSize = std::size_t{256} << 10;

template <auto release> struct Release {
  template <class Handle> void operator()(Handle* handle) const { release(handle); }
};
using Writer = std::unique_ptr<struct archive, Release<archive_write_free>>;
using Reader = std::unique_ptr<struct archive, Release<archive_read_free>>;
using Entry = std::unique_ptr<archive_entry, Release<archive_entry_free>>;

std::string text(const char* from) { return from ? from : ""; }

} // namespace

// No exception of ours may pass through libarchive: it is kept, and thrown behind it.

struct TarWriter::State {
  Writer handle{archive_write_new()};
  Entry entry{archive_entry_new()};
  Take out;
  std::exception_ptr thrown;

  static la_ssize_t take(struct archive*, void* self, const void* bytes, std::size_t size) {
    auto& state = *static_cast<State*>(self);
    try {
      state.out({static_cast<const char*>(bytes), size});
      return static_cast<la_ssize_t>(size);
    } catch (...) {
      state.thrown = std::current_exception();
      return -1;
    }
  }
  void check(la_ssize_t result) {
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
    if (result < ARCHIVE_OK) throw Error(fmt::format("cannot write the archive: {}", text(archive_error_string(handle.get()))));
  }
};

TarWriter::TarWriter(Take out) : state_(std::make_unique<State>()) {
  state_->out = std::move(out);
  state_->check(archive_write_set_format_pax_restricted(state_->handle.get()));
  state_->check(archive_write_open(state_->handle.get(), state_.get(), nullptr, State::take, nullptr));
}
TarWriter::~TarWriter() {
  // What was not finished is left. libarchive 3.6 frees a writer whole only when it closes it, which writes: to nobody.
  state_->out = [](std::string_view) {};
  state_->handle.reset(); // while what it writes to is there
}

void TarWriter::begin(const std::string& path, std::uint64_t size, unsigned mode) {
  auto* entry = archive_entry_clear(state_->entry.get());
  archive_entry_set_pathname(entry, path.c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(size));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, mode);
  archive_entry_set_mtime(entry, 0, 0);
  state_->check(archive_write_header(state_->handle.get(), entry));
}

void TarWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = archive_write_data(state_->handle.get(), bytes.data(), bytes.size());
    state_->check(count);
    if (count == 0) throw Error("cannot write the archive: a file is longer than it was");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void TarWriter::add(const std::string& path, std::string_view content, unsigned mode) {
  begin(path, content.size(), mode);
  write(content);
}

void TarWriter::finish() { state_->check(archive_write_close(state_->handle.get())); }

struct TarReader::State {
  Reader handle{archive_read_new()};
  Give in;
  std::string piece = std::string(pieceSize, '\0');
  std::exception_ptr thrown;

  static la_ssize_t give(struct archive*, void* self, const void** bytes) {
    auto& state = *static_cast<State*>(self);
    try {
      const auto piece = state.in();
      *bytes = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    } catch (...) {
      state.thrown = std::current_exception();
      return -1;
    }
  }
  /// Warnings are errors as well: of a name that cannot be read, for one.
  void check(la_ssize_t result) {
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
    if (result < ARCHIVE_OK) throw Error(fmt::format("it is no archive of tar's, or damaged: {}", text(archive_error_string(handle.get()))));
  }
};

TarReader::TarReader(Give in, Packing packing, Form form) : state_(std::make_unique<State>()) {
  auto* handle = state_->handle.get();
  state_->in = std::move(in);
  state_->check(form == Form::ar ? archive_read_support_format_ar(handle) : archive_read_support_format_tar(handle));
  if (packing != Packing::none) {
    state_->check(archive_read_support_filter_gzip(handle));
    state_->check(archive_read_support_filter_zstd(handle));
  }
  if (packing == Packing::debian) state_->check(archive_read_support_filter_xz(handle));
  state_->check(archive_read_open(handle, state_.get(), nullptr, State::give, nullptr));
}
TarReader::~TarReader() = default;

std::optional<TarEntry> TarReader::next() {
  archive_entry* found = nullptr;
  const auto result = archive_read_next_header(state_->handle.get(), &found);
  if (result == ARCHIVE_EOF && !state_->thrown) return std::nullopt;
  state_->check(result);
  TarEntry entry{.path = text(archive_entry_pathname(found)), .size = static_cast<std::uint64_t>(archive_entry_size(found)), .target = {}};
  if (const auto hard = text(archive_entry_hardlink(found)); !hard.empty()) {
    entry.type = TarEntry::Type::link;
    entry.target = hard;
    entry.hard = true;
  } else if (const auto type = archive_entry_filetype(found); type == AE_IFLNK) {
    entry.type = TarEntry::Type::link;
    entry.target = text(archive_entry_symlink(found));
  } else if (type != AE_IFREG) {
    entry.type = type == AE_IFDIR ? TarEntry::Type::folder : TarEntry::Type::other;
  }
  return entry;
}

std::string_view TarReader::read() {
  const auto count = archive_read_data(state_->handle.get(), state_->piece.data(), state_->piece.size());
  state_->check(count);
  return std::string_view(state_->piece).substr(0, static_cast<std::size_t>(count));
}

} // namespace kubestrap::archive
