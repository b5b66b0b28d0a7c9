// The few verbs that cannot be said as a state. Each tells whether it is still needed.
#include "plan/kinds.hpp"

namespace kubestrap::plan {

namespace {

struct Needed {
  const Context& context;

  Change operator()(const PullImage& pull) const {
    Change change{.subject = "image " + pull.image};
    if (pull.when == PullImage::When::always || !context.world.cri.hasImage(pull.image)) {
      change.verb = Verb::run;
      change.reason = pull.when == PullImage::When::always ? "pulled every time, as imagePullPolicy says" : "not in the runtime";
    }
    return change;
  }
};

struct Do {
  const Context& context;

  void operator()(const PullImage& pull) const {
    while_("pulling " + pull.image, [&] { context.world.cri.pullImage(pull.image); });
  }
};

} // namespace

Change diff(const Task& wanted, const Context& context) { return std::visit(Needed{context}, wanted); }

void enact(const Task& wanted, const Change&, const Context& context) { std::visit(Do{context}, wanted); }

} // namespace kubestrap::plan
