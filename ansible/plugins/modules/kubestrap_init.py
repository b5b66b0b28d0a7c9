#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_init
short_description: Makes a machine the first control plane node of a new cluster
description:
  - Runs C(kubestrap init), which keeps what is as it should be and makes the rest so.
  - A machine that is such a node already is brought to what O(config) says, where C(init) may change it.
options:
  config:
    description:
      - The documents that C(kubestrap init --config) takes, in any order, without secrets.
      - They are handed over by standard input; nothing of them is left on the machine.
    type: list
    elements: dict
    default: []
  self_hosted:
    description:
      - Whether the control plane passes into its own cluster at the end, C(--self-hosted). The layout is C(hosted) then, whatever it would be otherwise; O(config) may not ask for another one.
      - A control plane that stands already passes there, too, and so do static pods of control planes that have joined since.
      - V(false) brings none back, C(kubestrap unpivot) does.
    type: bool
    default: false
extends_documentation_fragment:
  - kubestrap.kubestrap.program
  - kubestrap.kubestrap.program.phases
  - kubestrap.kubestrap.program.bundle
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Make a cluster
  kubestrap.kubestrap.kubestrap_init:
    config:
      - apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        kubernetesVersion: v1.37.2
        networking:
          podSubnet: 10.244.0.0/16
      - apiVersion: kubestrap.io/v1alpha1
        kind: KubestrapConfiguration
        endpoint:
          mode: local

- name: Make a cluster that runs its own control plane
  kubestrap.kubestrap.kubestrap_init:
    self_hosted: true
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
steps:
  description: >-
    With O(self_hosted=true), the steps by which the control plane passed into its own cluster; in check mode those there would be, where nothing else
    would be changed before them.
  returned: with O(self_hosted=true), when kubestrap was asked
  type: list
  elements: dict
  contains:
    name:
      description: What is done.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import BUNDLED, Program, arguments


def passing(program, diff):
    """What init --dry-run leaves untold: the steps by which a control plane that stands would pass into its own cluster."""
    answer, dummy = program.ask(["pivot", "--dry-run"])
    if diff and answer["steps"]:
        diff = {"prepared": diff["prepared"] + "".join("%s\n" % each["name"] for each in answer["steps"])}
    return dict(changed=answer["changed"], steps=answer["steps"], **({"diff": diff} if diff else {}))


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            "ignore_preflight_errors",
            "skip_phases",
            config={"type": "list", "elements": "dict", "default": []},
            self_hosted={"type": "bool", "default": False},
            **BUNDLED,
        ),
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    words = ["init"] + program.flags() + program.bundle_flags()
    if wish["self_hosted"]:
        words.append("--self-hosted")
    if wish["config"]:
        words += ["--config", "-"]
    result = program.changed(words, wish["config"])
    if wish["self_hosted"] and module.check_mode and not result["changed"]:
        result.update(passing(program, result.get("diff")))
    elif wish["self_hosted"] and module.check_mode:
        result.update(msg="after these changes the control plane would pass into its own cluster: which steps that takes can be told once they are made")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
