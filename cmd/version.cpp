#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "config/versions.hpp"

#include <fmt/format.h>

namespace kubestrap::cmd {

Command versionCommand() {
  return {.name = "version", .summary = "Print the version, and which Kubernetes versions it deploys", .run = [](const auto&) {
            if (globals().output == "short") {
              fmt::print("v{}\n", KUBESTRAP_VERSION);
              return ExitCode::done;
            }
            Value document = result("Version");
            document["version"] = KUBESTRAP_VERSION;
            Value kubernetes = Value::array();
            for (const auto& minor : config::supportedMinors())
              kubernetes.push_back({{"minor", fmt::format("1.{}", minor.minor)}, {"default", minor.defaultPatch},
                                    {"etcd", minor.etcdTag}, {"coreDNS", minor.coreDnsTag}});
            document["kubernetes"] = std::move(kubernetes);
            if (const auto as = format(globals()); as != Format::text) {
              printResult(document, as);
              return ExitCode::done;
            }
            fmt::print("kubestrap {}\n", KUBESTRAP_VERSION);
            for (const auto& minor : config::supportedMinors())
              fmt::print("Kubernetes 1.{} ({}; etcd {}, CoreDNS {})\n", minor.minor, minor.defaultPatch, minor.etcdTag, minor.coreDnsTag);
            return ExitCode::done;
          }, .furtherFormat = "short"};
}

} // namespace kubestrap::cmd
