#pragma once
// phases/ says what should be true, and nothing else: a workflow is a table of phases, a phase is a pure function from a Setup
// to resources. Nothing here can reach a disk, a network or a clock.

#include "plan/phase.hpp"

namespace kubestrap::phases {

/// From a bare machine to the first control plane node of a cluster.
const plan::Workflow& initWorkflow();
/// From a bare machine to a further node, control plane or worker, of a cluster that exists.
const plan::Workflow& joinWorkflow();
/// New keys and certificates for what `request.renewal` names on a control plane, a component at a time.
const plan::Workflow& renewWorkflow();

/// The certificates and keys of `request.importing` are in place, the same way.
const plan::Workflow& importWorkflow();

/// From one version of Kubernetes to another: the first control plane node of a cluster in the plain layout, and then each other node.
const plan::Workflow& upgradeApplyWorkflow();
const plan::Workflow& upgradeNodeWorkflow();
/// What is looked at before control planes of layout hosted go to another version: how they do is no workflow (phases/roll.hpp).
const plan::Workflow& upgradeHostedWorkflow();

/// Other settings for a control plane node of the plain layout: where they are said, with what the cluster keeps of its configuration; and by that, each other one.
const plan::Workflow& reconfigureWorkflow();
const plan::Workflow& reconfigureNodeWorkflow();

/// From a node back to a bare machine.
const plan::Workflow& resetWorkflow();

} // namespace kubestrap::phases
