// Where a bundle is named: by a flag, or by the file.
#include "cmd/bundle_use.hpp"

#include "support/yaml.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::cmd;

namespace {

BundleUse taken(const std::string& text, BundleUse use = {}) {
  takeBundle(parseYaml(text, "k.yaml"), use);
  return use;
}

const std::string kFile = "apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nbundle: /root/b.bundle\noffline: true\n";

} // namespace

TEST_CASE("a KubestrapConfiguration names a bundle and says whether to be offline, and a flag counts before it") {
  CHECK(taken(kFile).bundle == "/root/b.bundle");
  CHECK(taken(kFile).offline);
  CHECK(taken(kFile, {.bundle = "/root/other.bundle", .how = {}}).bundle == "/root/other.bundle");
  CHECK(taken("kind: KubestrapConfiguration\noffline: false\n", {.bundle = {}, .how = {}, .offline = true}).offline);
}

TEST_CASE("other documents name no bundle, and neither does what is no text") {
  for (const auto* text : {"kind: Cluster\nbundle: /root/b.bundle\noffline: true\n", "kind: KubestrapConfiguration\nbundle: 5\noffline: \"yes\"\n", "kind: KubestrapConfiguration\n"}) {
    CAPTURE(text);
    CHECK_FALSE(taken(text).bundle);
    CHECK_FALSE(taken(text).offline);
  }
}
