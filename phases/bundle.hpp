#pragma once

#include "plan/phase.hpp"

namespace kubestrap::phases {

/// What the bundle of --bundle has is on this machine: nothing where there is none.
plan::Resources bundle(const config::Setup& setup, const plan::Phase& phase);

/// `bundle load`: that phase alone.
const plan::Workflow& bundleWorkflow();

} // namespace kubestrap::phases
