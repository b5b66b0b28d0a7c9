#pragma once

#include "host/host.hpp"

#include <string>
#include <vector>

namespace kubestrap::host {

struct Process {
  int pid = 0;
  std::string name; ///< as the kernel shows it, at most 15 characters: "containerd-shim"
};

/// Those that run. One that ends meanwhile may be among them.
std::vector<Process> processes(Host& host);

/// Its command line; empty when it has ended.
std::vector<std::string> argumentsOf(int pid, Host& host);
/// Who began it, or took it over; 0 when it has ended.
int parentOf(int pid, Host& host);

} // namespace kubestrap::host
