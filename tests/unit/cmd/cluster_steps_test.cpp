// What the machines of a cluster.yaml are told by ssh, whose part is played by a script.
#include "cmd/cluster_steps.hpp"
#include "tests/unit/host/fixture.hpp"
#include "tests/unit/nodes/played_ssh.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::cmd;
using phases::fleet::Task;

namespace {

using Lines = std::vector<std::string>;

/// Tokens are called token1, token2, ...; of keys it is told how often another one came.
const std::string machines = R"sh(
for last; do :; done
word() { sed -n "s/.*\"$1\":\"\([0-9a-z]*\).*/\1/p" $here/input | head -n 1; }
cat >$here/input
case $last in
*' token create '*)
  n=$(($(cat $here/tokens 2>/dev/null || echo 0) + 1))
  echo $n >$here/tokens
  echo "create token$n" >>$here/told
  printf '{"token":"token%s.0123456789abcdef","apiServerEndpoint":"10.0.0.11:6443","caCertHashes":["sha256:x"]}\n' $n
  exit 0 ;;
*' token delete '*) echo "delete $(echo "$last" | grep -o 'token[0-9]')" >>$here/told ;;
*' upload-certs '*)
  word certificateKey >>$here/keys
  echo "share for key $(wc -l <$here/keys)" >>$here/told ;;
*' join '*)
  key=$(word certificateKey)
  echo "join by $(word token)${key:+, key $(grep -n "$key" $here/keys | cut -d : -f 1)}" >>$here/told ;;
esac
case $last in *$(tail -n 1 $here/keys 2>/dev/null || echo none)*) echo 'a key in the arguments' >>$here/told ;; esac
echo '{}'
)sh";

Lines toldBy(const nodes::PlayedSsh& ssh) {
  Lines lines;
  std::ifstream file(ssh.folder / "told");
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

} // namespace

TEST_CASE("who joins late gets a token and shared files that will last, and none is left behind") {
  const nodes::PlayedSsh ssh(machines);
  const host::TempFolder folder;
  folder.put("cluster.yaml", "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nhosts:\n- {name: n1, address: 10.0.0.11, role: control-plane}\n- {name: n2, address: 10.0.0.12, role: control-plane}\n"
                             "- {name: n3, address: 10.0.0.13, role: control-plane}\n- {name: w1, address: 10.0.0.51, role: worker}\n");
  const Fleet fleet((folder.folder / "cluster.yaml").string(), {});
  LiveView view;
  TimePoint now = parseRfc3339("2026-11-30T12:00:00Z");
  {
    ClusterSteps steps(fleet, "n1", PodsAlone::refused, view, [&] { return now; });
    const auto joinsAfter = [&](const char* host, std::chrono::minutes later) {
      now += later;
      steps.perform({host, Task::join, ""});
    };
    joinsAfter("w1", std::chrono::minutes(0));
    joinsAfter("n2", std::chrono::minutes(40));
    joinsAfter("w1", std::chrono::minutes(10)); // another token, by now
    joinsAfter("n3", std::chrono::minutes(20)); // the files were laid there half an hour ago
    joinsAfter("n2", std::chrono::minutes(60));
    joinsAfter("w1", std::chrono::minutes(-5)); // somebody has put the clock right
  }
  CHECK(toldBy(ssh) == Lines{"create token1", "join by token1", "share for key 1", "join by token1, key 1", "create token2", "join by token2", "join by token2, key 1", "create token3",
                             "share for key 2", "join by token3, key 2", "create token4", "join by token4", "delete token1", "delete token2", "delete token3", "delete token4"});
}
