#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_upgrade
short_description: Brings a node, and on the first control plane the cluster, to another version of Kubernetes
description:
  - With O(version) it runs C(kubestrap upgrade apply), which is for one control plane, before all others.
  - Without it, C(kubestrap upgrade node), for each further control plane, one after the other, and then for the workers.
options:
  version:
    description: The version that the cluster is to have, like V(v1.37.2).
    type: str
  kubelet:
    description: A kubelet on the machine that takes the place of the one that runs; the node is drained for it. Not with O(version).
    type: path
  kubeconfig_content:
    description: The content of an administrator's kubeconfig, with which a worker is drained. A control plane has its own.
    type: str
  drain_timeout:
    description: How long pods may take to leave.
    type: str
    default: 5m
extends_documentation_fragment:
  - kubestrap.kubestrap.program
  - kubestrap.kubestrap.program.phases
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Upgrade the cluster, on its first control plane
  kubestrap.kubestrap.kubestrap_upgrade:
    version: v1.37.2

- name: Upgrade a further node
  kubestrap.kubestrap.kubestrap_upgrade:
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, in order; what is kept is left out.
  returned: when kubestrap was asked
  type: list
  elements: dict
  contains:
    phase:
      description: The phase it belongs to.
      type: str
      sample: kubelet-start
    verb:
      description: What is done.
      type: str
      sample: create
    subject:
      description: What it is done to.
      type: str
      sample: file /var/lib/kubelet/config.yaml
    reason:
      description: Why.
      type: str
      sample: missing
api_gap:
  description: For how long this node's API server did not answer.
  returned: on control planes, when something was upgraded
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import Program, arguments


def needs_swap(program, words):
    """kubestrap empties a node for a kubelet that runs there already. Where emptying it is all that it would do about the kubelet, there is no need to."""
    answer, dummy = program.ask(words + ["--dry-run"])
    return any(each["phase"] == "kubelet" and not each["subject"].startswith("pods that may move") for each in program.result(answer)["changes"])


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            "ignore_preflight_errors",
            "skip_phases",
            version={"type": "str"},
            kubelet={"type": "path"},
            kubeconfig_content={"type": "str", "no_log": True},
            drain_timeout={"type": "str", "default": "5m"},
        ),
        mutually_exclusive=[("version", "kubelet")],
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    words = ["upgrade", "apply", wish["version"]] if wish["version"] else ["upgrade", "node"]
    words += program.flags()
    if wish["kubeconfig_content"]:
        words += ["--kubeconfig", program.secret_file(wish["kubeconfig_content"])]
    if wish["kubelet"]:
        swap = ["--kubelet", wish["kubelet"], "--drain-timeout", wish["drain_timeout"]]
        if needs_swap(program, words + swap):
            words += swap
    module.exit_json(**program.changed(words, forms=["--yes"] if wish["version"] else []))


if __name__ == "__main__":
    main()
