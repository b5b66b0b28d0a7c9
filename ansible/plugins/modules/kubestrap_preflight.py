#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_preflight
short_description: Judges a machine that is to be a node, and puts right what is safe
description:
  - Runs C(kubestrap preflight); with O(fix=true) it is C(kubestrap preflight --fix).
options:
  purpose:
    description: What the machine is to be, or is.
    type: str
    choices: [init, join]
    default: init
  control_plane:
    description: With O(purpose=join), whether it is to be a control plane.
    type: bool
    default: false
  fix:
    description: Whether what is safe is put right, like swap and the kernel's settings.
    type: bool
    default: true
  config:
    description: Documents as C(kubestrap preflight --config) takes them, without secrets.
    type: list
    elements: dict
    default: []
  ignore_preflight_errors:
    description: Checks whose errors count as warnings; V(all) for every one.
    type: list
    elements: str
    default: []
  offline:
    description: Whether nothing may be fetched, C(--offline). Registries are not asked whether they answer then.
    type: bool
    default: false
  accept_refusal:
    description: Whether findings for which C(init) or C(join) would refuse are told as warnings, and are no failure.
    type: bool
    default: false
extends_documentation_fragment:
  - kubestrap.kubestrap.program
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Put right what is safe on a machine that is to be a worker
  kubestrap.kubestrap.kubestrap_preflight:
    purpose: join
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
refused:
  description: Whether C(init) or C(join) would refuse.
  returned: when kubestrap was asked
  type: bool
findings:
  description: What stands in the way, or is worth knowing.
  returned: when kubestrap was asked
  type: list
  elements: dict
  contains:
    name:
      description: The check's name, as in O(ignore_preflight_errors).
      type: str
      sample: Swap
    severity:
      description: Either V(error) or V(warning).
      type: str
      sample: warning
    evidence:
      description: What was seen.
      type: str
    remedy:
      description: What to do.
      type: str
    fixable:
      description: Whether O(fix) puts it right.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import DONE, REFUSED, Program, arguments


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            "ignore_preflight_errors",
            purpose={"type": "str", "choices": ["init", "join"], "default": "init"},
            control_plane={"type": "bool", "default": False},
            fix={"type": "bool", "default": True},
            config={"type": "list", "elements": "dict", "default": []},
            offline={"type": "bool", "default": False},
            accept_refusal={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    words = ["preflight", wish["purpose"]] + program.flags()
    if wish["control_plane"] and wish["purpose"] == "join":
        words.append("--control-plane")
    if wish["offline"]:
        words.append("--offline")
    if wish["config"]:
        words += ["--config", "-"]
    if wish["fix"]:
        words.append("--fix")
    diff = program.plan(words, wish["config"], allowed=(DONE, REFUSED)) if wish["fix"] else {}
    if wish["fix"] and module.check_mode:
        words.append("--dry-run")
    answer, code = program.ask(words, wish["config"], allowed=(DONE, REFUSED))
    result = program.result(answer)
    result.update(diff, refused=answer["refused"], findings=answer["findings"])
    errors = [each for each in answer["findings"] if each["severity"] == "error"]
    if code == REFUSED and not wish["accept_refusal"]:
        told = "; ".join("%s: %s (%s)" % (each["name"], each["evidence"], each["remedy"]) for each in errors)
        module.fail_json(msg="this machine cannot be a node yet: %s" % told, **result)
    for each in errors:
        module.warn("%s: %s" % (each["name"], each["evidence"]))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
