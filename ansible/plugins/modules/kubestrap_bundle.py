#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_bundle
short_description: Puts what a bundle has on a machine
description:
  - Runs C(kubestrap bundle load), which verifies all of it before anything is written, and keeps what is as it should be.
options:
  path:
    description: The bundle on the machine.
    type: path
    required: true
  without:
    description: Programs of the bundle that are left out, like V(kubelet), which must not be newer than the API servers.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - kubestrap.kubestrap.program
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Bring what the next version of Kubernetes takes, but for the kubelet
  kubestrap.kubestrap.kubestrap_bundle:
    path: /var/lib/kubestrap/cluster.bundle
    without: [kubelet]
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
      sample: bundle
    verb:
      description: What is done.
      type: str
      sample: create
    subject:
      description: What it is done to.
      type: str
      sample: file /usr/bin/containerd
    reason:
      description: Why.
      type: str
      sample: missing
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import Program, arguments


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            path={"type": "path", "required": True},
            without={"type": "list", "elements": "str", "default": []},
        ),
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    program.wait_for_file(wish["path"])
    words = ["bundle", "load", wish["path"]]
    if wish["without"]:
        words += ["--without", ",".join(wish["without"])]
    module.exit_json(**program.changed(words))


if __name__ == "__main__":
    main()
