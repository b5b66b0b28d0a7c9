#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_upgrade
short_description: Brings a node, and on the first control plane the cluster, to another version of Kubernetes
description:
  - With O(version) it runs C(kubestrap upgrade apply), which is for one control plane, before all others. In layout C(hosted) it upgrades all control planes, by a roll.
  - Without it, C(kubestrap upgrade node), for each further control plane, one after the other, and then for the workers. In layout C(hosted) it is for the kubelet
    and its settings only, on every control plane, also the first one.
  - Control planes of layout C(hosted) that are static pods are refused, C(kubestrap pivot) goes first.
options:
  version:
    description: The version that the cluster is to have, like V(v1.37.2).
    type: str
  kubelet:
    description:
      - A kubelet on the machine that takes the place of the one that runs; the node is drained for it. Not with O(version).
      - That of O(bundle) does so without it, and not with O(version) either.
    type: path
  kubeconfig_content:
    description: The content of an administrator's kubeconfig, with which a worker is drained. A control plane has its own.
    type: str
  drain_timeout:
    description: How long pods may take to leave.
    type: str
    default: 5m
  force:
    description:
      - Whether pods that nobody makes anew elsewhere end, where the node is drained for its kubelet, C(--force). Otherwise they are a failure before anything is touched.
      - Not with O(version), which drains nothing.
    type: bool
extends_documentation_fragment:
  - kubestrap.kubestrap.program
  - kubestrap.kubestrap.program.phases
  - kubestrap.kubestrap.program.bundle
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
node:
  description: The node's name and role; of a roll that of the node which drove it.
  returned: when kubestrap was asked, in check mode not of a roll
  type: dict
  sample:
    name: n2
    role: control-plane
steps:
  description: The steps of a roll that were taken, or in check mode those there would be. What was done by a roll has no changes but these.
  returned: with O(version), on control planes of layout C(hosted)
  type: list
  elements: dict
  contains:
    name:
      description: What is done.
      type: str
passing:
  description: >-
    Whether what stands in the way may pass by itself: the node before is not back yet, or no API server answers. Nothing was touched then, and the role
    upgrade tries again.
  returned: failure
  type: bool
api_gap:
  description: For how long this node's API server did not answer.
  returned: on control planes, when something was upgraded other than by a roll
  type: dict
"""

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import BUNDLED, DONE, REFUSED, Program, arguments


def minor(version):
    return tuple(int(part) for part in re.search(r"v(\d+)\.(\d+)", version).groups())


def too_new(program, words, kubelet):
    """In check mode the cluster has not got the version that a kubelet waits for, and kubestrap would refuse it."""
    dummy, out, dummy = program.module.run_command([kubelet, "--version"], check_rc=True)
    answer, dummy = program.ask(words + ["--dry-run"])
    return minor(out) > minor(answer["to"])


def loaded(program, command):
    """kubestrap loads the bundle in any case, and does not count it as the upgrade's doing. In check mode what comes after it cannot be told without it."""
    module = program.module
    if not module.params["bundle"]:
        return None
    result = program.changed(command + ["phase", "bundle"] + [word for word in program.bundle_flags() if word != "--offline"])
    if module.check_mode and result["changed"]:
        module.exit_json(msg="what the upgrade would do cannot be told before the bundle is on the machine", **result)
    return result


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
            force={"type": "bool"},
            **BUNDLED,
        ),
        mutually_exclusive=[("version", "kubelet"), ("version", "force")],
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    command = ["upgrade", "apply"] if wish["version"] else ["upgrade", "node"]
    bundled = loaded(program, command)
    words = command + ([wish["version"]] if wish["version"] else []) + program.flags() + program.bundle_flags()
    if wish["kubeconfig_content"]:
        words += ["--kubeconfig", program.secret_file(wish["kubeconfig_content"])]
    if wish["force"]:
        words.append("--force")
    if wish["kubelet"] and module.check_mode and too_new(program, words, wish["kubelet"]):
        module.exit_json(changed=True, changes=[], msg="%s is for a version that the cluster has not got yet: what it would change cannot be told before" % wish["kubelet"])
    if wish["kubelet"]:
        swap = ["--kubelet", wish["kubelet"], "--drain-timeout", wish["drain_timeout"]]
        if needs_swap(program, words + swap):
            words += swap
    result = program.changed(words, forms=["--yes"] if wish["version"] else [], planned=(DONE, REFUSED))
    if bundled:
        result.update(changed=bundled["changed"] or result["changed"], changes=bundled["changes"] + result["changes"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
