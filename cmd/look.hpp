#pragma once

#include "cmd/machine.hpp"
#include "config/facts.hpp"
#include "config/model.hpp"
#include "kube/client.hpp"
#include "phases/preflight.hpp"

namespace kubestrap::cmd {

enum class Judging { no, yes };

/// The first look, before the configuration is known. Only preflight judges the machine; a single other phase needs no
/// more than the configuration's defaults.
config::Facts look(Machine& machine, Judging judging);

/// Answers to the questions that only a read configuration can ask: of files, ports, disks, the container runtime, and of
/// other machines.
void lookFurther(config::Facts& facts, phases::Purpose purpose, const config::Setup& setup, Machine& machine,
                 host::Cri& runtime);

/// The nodes of the cluster that is joined, as far as they may be listed: with a bootstrap token they may not.
void lookAtPeers(config::Facts& facts, kube::Client& client);

} // namespace kubestrap::cmd
