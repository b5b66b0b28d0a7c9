#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kubestrap::tar {

// Archives in the format ustar (POSIX.1-1988), files alone: what tar(1) reads.

/// A file in an archive.
struct Entry {
  std::string name; ///< relative: "pki/ca.crt", 100 octets at most
  unsigned mode = 0600;
  std::uint64_t size = 0;
  std::int64_t modified = 0; ///< seconds since 1970
};

inline constexpr std::size_t block = 512;

/// The block before a file's content. Throws Error for a name or size that the format does not hold.
std::string header(const Entry& entry);
/// What fills up the last block of a content.
std::string padding(std::uint64_t size);
/// The end of an archive.
std::string end();

/// The entry that a block says; nothing: it is the end. Throws Error for what is none, or no file.
std::optional<Entry> parseHeader(std::string_view block);
/// All files of a whole archive; contents are views into it. Throws Error for what is cut off or damaged, and for names that lead out of it.
std::vector<std::pair<Entry, std::string_view>> read(std::string_view archive);

} // namespace kubestrap::tar
