#pragma once

#include "host/host.hpp"

#include <string>

namespace kubestrap::cmd {

/// A kubelet that others than kubestrap put into its place: packages, by a command of the operator's, or somebody before.
struct KubeletWish {
  std::string command; ///< for a shell; empty: it has been put there
  host::Path program;
  std::string version; ///< "v1.37.2", as the program's --version has to say it
  std::string running; ///< what the node says of its kubelet; empty: not known
};

/// "v1.37.2", as the program's --version says it; empty: it does not.
std::string versionOf(const host::Path& program, host::Host& host);

/// "/usr/bin/kubelet is v1.36.3, and not v1.37.2" of what versionOf has found.
std::string isNot(const host::Path& program, const std::string& found, const std::string& wanted);

/// Makes the program newer than a process of another version, so that the service is started anew: packages keep the time at which it was made, and a
/// file that is there already is not written again.
void makeNewerThanProcess(const KubeletWish& wish, host::Host& host);

/// Runs the command unless the program is of that version already, and makes it newer than a process of another version, so that the service is
/// started anew. Throws Error where the version is another one afterwards.
void installKubelet(const KubeletWish& wish, host::Host& host);

} // namespace kubestrap::cmd
