#include "host/file_writer.hpp"

#include "host/host.hpp"
#include "host/system_error.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace kubestrap::host {

FileWriter::FileWriter(std::filesystem::path path) : path_(std::move(path)), beside_(path_.parent_path() / (leftoverPrefix(path_.filename().string()) + "part")) {
  file_ = Descriptor(open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file_) throw systemError("make", beside_.string());
}

FileWriter::~FileWriter() {
  if (file_) unlink(beside_.c_str());
}

void FileWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw systemError("write", beside_.string());
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void FileWriter::commit() {
  if (fsync(file_.get()) != 0) throw systemError("write", beside_.string());
  if (std::rename(beside_.c_str(), path_.c_str()) != 0) throw systemError("write", path_.string());
  file_ = Descriptor();
}

} // namespace kubestrap::host
