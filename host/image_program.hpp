#pragma once

#include "host/host.hpp"

#include <string>
#include <vector>

namespace kubestrap::host {

/// A program of an image that the runtime has, run by the runtime's own loader, without a kubelet.
struct ImageProgram {
  std::string socket; ///< of containerd: "unix:///run/containerd/containerd.sock"
  std::string image, name; ///< `name`: of the container; one of that name which is there is removed first
  struct Mount {
    Path from, to;
    enum class Access { read, write } access = Access::read;
  };
  std::vector<Mount> mounts;
  std::vector<std::string> command;
  enum class Network { none, machine } network = Network::none;
  Duration timeout = std::chrono::minutes(10);
};

/// Runs it to its end. Throws Error where the runtime has no loader that is known, or the program fails, in its own words.
std::string runInImage(const ImageProgram& program, Host& host);
/// Starts it, and comes back when it runs.
void startInImage(const ImageProgram& program, Host& host);
/// Ends it; fine when it is gone.
void endInImage(const ImageProgram& program, Host& host);

} // namespace kubestrap::host
