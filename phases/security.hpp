#pragma once
// What KubestrapConfiguration's security asks of a control plane, beside the flags of its API server.

#include "config/model.hpp"
#include "plan/resource.hpp"

namespace kubestrap::phases {

/// The audit log's policy and folder; nothing where there is to be no log. A policy that was there before stays: what goes back reads it.
plan::Resources auditLog(const config::Setup& setup);

} // namespace kubestrap::phases
