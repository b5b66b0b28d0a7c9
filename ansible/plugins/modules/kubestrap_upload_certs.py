#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_upload_certs
short_description: Puts the certificates that control planes share into the cluster, encrypted
description:
  - Runs C(kubestrap init phase upload-certs) on a control plane node, with a new key each time. The certificates go by themselves after two hours.
  - What it returns is secret. Give the task C(no_log=true).
options:
  kubeconfig:
    description: The administrator's file.
    type: path
    default: /etc/kubernetes/admin.conf
notes:
  - There is no telling whether an earlier upload's key is still known to anybody, so that every run of it changes something. Run it where a
    control plane is to join.
extends_documentation_fragment:
  - kubestrap.kubestrap.program
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Share the certificates with the control plane that joins
  kubestrap.kubestrap.kubestrap_upload_certs:
  delegate_to: "{{ groups['kubestrap_control_planes'][0] }}"
  register: uploaded
  no_log: true
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
certificate_key:
  description: What opens the certificates; empty in check mode.
  returned: success
  type: str
"""

import binascii
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import ADMIN_CONF, Program, arguments


def main():
    module = AnsibleModule(
        argument_spec=arguments(kubeconfig={"type": "path", "default": ADMIN_CONF}),
        supports_check_mode=True,
    )
    program = Program(module)
    if module.check_mode and not os.path.exists(module.params["kubeconfig"]):
        module.exit_json(changed=True, certificate_key="", msg="there is no cluster yet")
    key = binascii.hexlify(os.urandom(32)).decode()
    document = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "InitConfiguration", "certificateKey": key}
    words = ["init", "phase", "upload-certs", "--upload-certs", "--config", "-", "--kubeconfig", module.params["kubeconfig"]]
    answer, dummy = program.ask(words + (["--dry-run"] if module.check_mode else []), [document])
    module.exit_json(certificate_key="" if module.check_mode else key, **program.result(answer))


if __name__ == "__main__":
    main()
