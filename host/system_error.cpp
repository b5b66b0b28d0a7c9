#include "host/system_error.hpp"

#include <fmt/format.h>

#include <system_error>
#include <unistd.h>

namespace kubestrap::host {

namespace {

std::string hintFor(int number) {
  switch (number) {
  case EACCES:
  case EPERM: return geteuid() == 0 ? "" : "run kubestrap as root";
  case ENOSPC:
  case EDQUOT: return "make room on this file system and run the same command again";
  case EROFS: return "the file system is mounted read-only: see `mount` and `dmesg`";
  case EIO: return "the disk reports errors: see `dmesg`";
  default: return "";
  }
}

} // namespace

std::string errorText(int number) { return std::generic_category().message(number); }

Error systemError(std::string_view what, const std::string& path, int number) {
  return Error(fmt::format("cannot {} {}: {}", what, path, errorText(number)), hintFor(number));
}

} // namespace kubestrap::host
