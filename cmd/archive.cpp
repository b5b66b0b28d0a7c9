#include "cmd/archive.hpp"

#include "host/file_writer.hpp"
#include "support/tar.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace kubestrap::cmd {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view manifestName = "manifest.json", kind = "Backup";

/// The inside of an encrypted archive, file by file.
class Packing {
public:
  Packing(const fs::path& target, const certs::Recipients& recipients, TimePoint now)
      : file_(target), message_(recipients, [this](std::string_view bytes) { file_.write(bytes); }),
        now_(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()) {}

  void add(const std::string& name, std::string_view text) {
    begin(name, text.size());
    message_.write(text);
    message_.write(tar::padding(text.size()));
  }

  void addFile(const std::string& name, const fs::path& path) {
    const auto size = fs::file_size(path);
    std::ifstream in(path, std::ios::binary);
    begin(name, size);
    std::string piece(std::size_t{1} << 20, '\0');
    for (std::uint64_t left = size; left > 0;) {
      in.read(piece.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(piece.size(), left)));
      const auto count = static_cast<std::size_t>(in.gcount());
      if (count == 0) throw Error(fmt::format("{} changed while it was read", path.string()), "run the command again");
      message_.write(std::string_view(piece).substr(0, count));
      left -= count;
    }
    message_.write(tar::padding(size));
  }

  void finish() {
    message_.write(tar::end());
    message_.finish();
    file_.commit();
  }

private:
  void begin(const std::string& name, std::uint64_t size) { message_.write(tar::header({.name = name, .mode = 0600, .size = size, .modified = now_})); }

  host::FileWriter file_;
  certs::CmsWriter message_;
  std::int64_t now_;
};

} // namespace

void writeArchive(const fs::path& target, const certs::Recipients& recipients, const Value& manifest, const std::map<std::string, fs::path>& files,
                  const std::map<std::string, std::string>& texts, Machine& machine) {
  Packing packing(fs::absolute(target), recipients, machine.clock().now());
  packing.add(std::string(manifestName), manifest.dump(2) + "\n");
  for (const auto& [name, text] : texts) packing.add(name, text);
  for (const auto& [name, path] : files) packing.addFile(name, path);
  packing.finish();
}

Archive openArchive(const fs::path& file, const certs::Opener& opener) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(fmt::format("there is no file {}", file.string()), {}, ExitCode::usage);
  const std::string message((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto plain = certs::openCms(message, opener);
  Archive archive;
  for (const auto& [entry, content] : tar::read(plain.reveal())) archive.files[entry.name] = Secret(std::string(content));
  const auto manifest = archive.files.find(std::string(manifestName));
  if (manifest == archive.files.end()) throw Error(fmt::format("{} is no backup of kubestrap's: it has no {}", file.string(), manifestName));
  archive.manifest = parseJson(manifest->second.reveal(), std::string(manifestName));
  if (stringAt(archive.manifest, "kind") != kind) throw Error(fmt::format("{} is no backup of kubestrap's", file.string()));
  return archive;
}

} // namespace kubestrap::cmd
