#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_reset
short_description: Makes a node a bare machine again
description:
  - Runs C(kubestrap reset), which does not ask here. On a machine that is no node it changes nothing.
options:
  kubeconfig_content:
    description:
      - The content of an administrator's kubeconfig, with which the cluster is told that this node leaves. A control plane has its own.
      - Without it a worker's Node object stays in the cluster.
    type: str
  drain:
    description: Whether pods are first moved to other nodes.
    type: bool
    default: false
  drain_timeout:
    description: How long that may take.
    type: str
    default: 5m
  force:
    description: Whether to go on where the cluster would end with this node, or where it cannot be told.
    type: bool
    default: false
  verify:
    description: Whether the machine is compared afterwards with what it was before it became a node; what is left is a failure. Not in check mode.
    type: bool
    default: false
extends_documentation_fragment:
  - kubestrap.kubestrap.program
  - kubestrap.kubestrap.program.phases
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Take a worker out of its cluster
  kubestrap.kubestrap.kubestrap_reset:
    kubeconfig_content: "{{ admin.content | b64decode }}"
    drain: true
    verify: true
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
node:
  description: The node's name and role.
  returned: when kubestrap was asked
  type: dict
  sample:
    name: n2
    role: control-plane
deviations:
  description: With O(verify=true), what is not as it was before.
  returned: when something is left
  type: list
  elements: dict
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import DIFFERS, DONE, KUBELET_CONF, Program, arguments


INVENTORY = "/var/lib/kubestrap/inventory"  # what the machine was before; a machine that never was a node has none


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            "ignore_preflight_errors",
            "skip_phases",
            kubeconfig_content={"type": "str", "no_log": True},
            drain={"type": "bool", "default": False},
            drain_timeout={"type": "str", "default": "5m"},
            force={"type": "bool", "default": False},
            verify={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    words = ["reset"] + program.flags()
    if wish["kubeconfig_content"]:
        words += ["--kubeconfig", program.secret_file(wish["kubeconfig_content"])]
    if wish["drain"] and os.path.exists(KUBELET_CONF):
        words += ["--drain", "--drain-timeout", wish["drain_timeout"]]
    if wish["force"]:
        words.append("--force")
    result = program.changed(words, forms=["--yes"])
    if wish["verify"] and not module.check_mode and os.path.exists(INVENTORY):
        answer, code = program.ask(["reset", "--verify"], allowed=(DONE, DIFFERS))
        if not answer["clean"]:
            left = "; ".join("%(part)s %(name)s %(verdict)s" % each for each in answer["deviations"])
            module.fail_json(msg="this machine is not what it was before it became a node: %s" % left, deviations=answer["deviations"], **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
