#pragma once

#include "archive/zstd.hpp"

#include <cstdint>
#include <optional>

namespace kubestrap::archive {

/// What stands before a content in an archive.
struct TarEntry {
  std::string path;
  enum class Type { file, folder, link, other } type = Type::file;
  std::uint64_t size = 0;
  std::string target; ///< of a link
  bool hard = false;  ///< a hard link's target is a path of the archive, and not one beside the link
};

/// Writes files, as they are named: of nobody, of 1970. Which user, umask and day it is does not show.
class TarWriter {
public:
  explicit TarWriter(Take out);
  ~TarWriter();
  void begin(const std::string& path, std::uint64_t size, unsigned mode);
  void write(std::string_view bytes); ///< of the file that was begun
  void add(const std::string& path, std::string_view content, unsigned mode);
  void finish();

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads what any tar has written. Names are what they are: who reads judges them.
class TarReader {
public:
  enum class Packing { none, any, debian }; ///< any: gzip and zstd as well; debian: and xz
  enum class Form { tar, ar };              ///< ar: what a package of Debian's is, around its tars
  explicit TarReader(Give in, Packing packing = Packing::none, Form form = Form::tar);
  ~TarReader();
  /// Throws Error for what is no archive, or damaged.
  std::optional<TarEntry> next();
  /// The next piece of the present entry, valid until the next call; empty at its end.
  std::string_view read();

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace kubestrap::archive
