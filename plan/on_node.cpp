// What is to be done on another node's machine: a pod does it, is waited for, asked what it said, and deleted.
#include "plan/on_node.hpp"

#include "plan/kinds.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

namespace kubestrap::plan {

namespace {

std::string waitingFor(const Value& pod) {
  const auto* containers = find(pod, "status.containerStatuses");
  for (const auto& container : containers ? *containers : Value::array())
    if (const auto reason = stringAt(container, "state.waiting.reason"); !reason.empty()) return reason;
  return stringAt(pod, "status.phase", "Pending");
}

class OnNode {
public:
  OnNode(const RunOnNode& wanted, const Change& change, const Context& context)
      : wanted_(wanted), change_(change), context_(context), key_(kube::keyOf(wanted.pod)) {}

  std::string run() {
    remove(); // of a driver that was stopped
    withPatience(context_, key_.string(), [&] {
      if (auto client = connect(wanted_.access, context_); !client.get(key_)) client.create(wanted_.pod);
    });
    const bool well = awaitEnd();
    const auto said = log();
    if (!well) {
      const auto last = lastLine(said);
      throw Error(fmt::format("{}: {}", wanted_.what, last.empty() ? "it said nothing" : last), fmt::format("kubectl -n kube-system logs {}", key_.name));
    }
    remove();
    return said;
  }

private:
  Condition condition(const std::string& what) const {
    return {.what = what, .probe = ApiServerAnswers{wanted_.access}, .patience = wanted_.patience,
            .hint = fmt::format("kubectl -n kube-system describe pod {}", key_.name)};
  }

  bool awaitEnd() {
    bool well = false;
    await(condition(wanted_.what), change_, context_, [&]() -> std::optional<std::string> {
      const auto pod = connect(wanted_.access, context_).get(key_);
      if (!pod) throw Error(fmt::format("{}: its pod was deleted", wanted_.what), "somebody else may be at it");
      const auto phase = stringAt(*pod, "status.phase");
      if (const auto why = waitingFor(*pod); why.starts_with("Err") || why.ends_with("BackOff"))
        throw Error(fmt::format("{}: its pod does not start: {}", wanted_.what, why), condition({}).hint);
      well = phase == "Succeeded";
      return well || phase == "Failed" ? std::nullopt : std::optional(fmt::format("its pod is {}", waitingFor(*pod)));
    });
    return well;
  }

  std::string log() {
    std::string text;
    withPatience(context_, key_.string(), [&] {
      const auto answer = connect(wanted_.access, context_).raw("GET", kube::pathOf(key_) + "/log");
      if (answer.status != 200) throw kube::ApiError(answer.status, "", fmt::format("what {} said cannot be read: {}", key_.name, trim(answer.body)));
      text = answer.body;
    });
    return text;
  }

  void remove() {
    await(condition(fmt::format("{} is gone", key_.string())), change_, context_, [&]() -> std::optional<std::string> {
      auto client = connect(wanted_.access, context_);
      const auto found = client.get(key_);
      if (!found) return std::nullopt;
      if (stringAt(*found, "metadata.deletionTimestamp").empty()) client.remove(key_);
      return "it ends";
    });
  }

  const RunOnNode& wanted_;
  const Change& change_;
  const Context& context_;
  kube::ObjectKey key_;
};

} // namespace

std::string runOnNode(const RunOnNode& wanted, World& world, Reporter& reporter) {
  constexpr auto apiPatience = std::chrono::seconds(60);
  const Context context{.world = world, .applying = true, .apiPatience = apiPatience, .phase = "node", .reporter = &reporter};
  return OnNode(wanted, {.verb = Verb::run, .subject = wanted.what}, context).run();
}

Change needed(const RunOnNode& wanted, const Context&) { return {.verb = Verb::run, .subject = wanted.what, .reason = "by a pod on the node"}; }

void perform(const RunOnNode& wanted, const Change& change, const Context& context) { OnNode(wanted, change, context).run(); }

} // namespace kubestrap::plan
