#include "guard/report.hpp"

#include "manifests/guard.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::guard;
using namespace kubestrap::phases::guard;

TEST_CASE("a guard tells what it sees, what it has done, and what is wrong") {
  Seen seen;
  seen.etcdReady = true;
  seen.held = {scheduler};
  seen.components[scheduler].promoted = true;
  seen.components[scheduler].slots = {SlotState::refuses, SlotState::hangs, SlotState::ready, SlotState::refuses};
  Decision decision{.state = begin({})};
  decision.state.components[scheduler].hosting = Hosting::held;
  decision.conditions = {{"StandbyBroken", "kube-scheduler: no"}};
  const auto document = kubestrap::guard::report("n1", seen, decision, {"", "", "3"});
  CHECK(document["node"] == "n1");
  CHECK(document["etcd"] == true);
  CHECK(document["held"] == Value::array({"kube-scheduler"}));
  CHECK(document["components"]["kube-scheduler"] ==
        Value::parse(R"({"hosting":"held","slots":{"blue":"refuses","green":"hangs","rescue":"ready","previous":"refuses"},"promoted":true,"standby":"3"})"));
  CHECK(document["components"]["kube-apiserver"]["promoted"] == false);
  CHECK(document["conditions"] == Value::parse(R"([{"name":"StandbyBroken","message":"kube-scheduler: no"}])"));

  const auto lease = leaseOf("n1", document, parseRfc3339("2026-11-25T18:00:00Z") + std::chrono::microseconds(1500));
  CHECK(stringAt(lease, "metadata.name") == "kubestrap-guard-n1");
  CHECK(stringAt(lease, "spec.renewTime") == "2026-11-25T18:00:00.001500Z");
  CHECK(Value::parse(lease["metadata"]["annotations"][std::string(manifests::guardAnnotation)].get<std::string>()) == document);
}

TEST_CASE("a guard that is restarted remembers which roll has proved itself") {
  auto state = begin(std::chrono::hours(1));
  CHECK_FALSE(memory(state).contains("proved"));
  state.roll = {.rolling = Rolling{.component = scheduler, .to = "4", .from = "3"}, .revision = "4", .proved = true};
  auto later = begin(std::chrono::hours(2));
  recall(memory(state), later);
  CHECK(later.roll.proved);
  CHECK(later.roll.rolling == state.roll.rolling);
  for (const auto* odd : {R"({"proved":3})", R"({"proved":{"component":"etcd"}})"}) {
    auto fresh = begin(std::chrono::hours(2));
    recall(Value::parse(odd), fresh);
    CHECK_FALSE(fresh.roll.proved);
  }
}

TEST_CASE("a guard that is restarted remembers which roll went back while nobody drove it") {
  auto state = begin(std::chrono::hours(1));
  state.roll = {.rolling = Rolling{.component = scheduler, .to = "4", .from = "3"}, .revision = "3", .rolledBack = true};
  auto later = begin(std::chrono::hours(2));
  recall(memory(state), later);
  CHECK(later.roll.rolledBack);
  CHECK_FALSE(later.roll.proved);
  CHECK(later.roll.rolling == state.roll.rolling);
}

TEST_CASE("a guard that is restarted remembers demotions of this start of the machine, and no others") {
  auto state = begin(std::chrono::hours(1));
  state.components[apiServer].stable = std::chrono::seconds(40);
  state.components[apiServer].demoted = std::chrono::minutes(50);
  const auto kept = memory(state);
  auto later = begin(std::chrono::hours(2));
  recall(kept, later);
  CHECK(later.components[apiServer].stable == std::chrono::seconds(40));
  CHECK(later.components[apiServer].demoted == Moment(std::chrono::minutes(50)));
  auto otherBoot = begin(std::chrono::seconds(20));
  recall(kept, otherBoot);
  CHECK(!otherBoot.components[apiServer].demoted);
  for (const auto* odd : {"null", "[]", "{}", R"({"kube-apiserver":3})", R"({"kube-apiserver":{"stable":"x"}})"}) {
    auto fresh = begin(std::chrono::hours(2));
    recall(Value::parse(odd), fresh);
    CHECK(!fresh.components[apiServer].demoted);
  }
}
