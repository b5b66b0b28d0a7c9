#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_join
short_description: Makes a machine a node of a cluster
description:
  - Runs C(kubestrap join) with a JoinConfiguration that is handed over by standard input, secrets included.
  - A machine that is a node already needs neither O(token) nor O(certificate_key). It finds its cluster by its own credentials then, and is
    brought to what O(config) says.
options:
  endpoint:
    description: Address and port of an API server of the cluster, as M(kubestrap.kubestrap.kubestrap_token) returns it.
    type: str
  token:
    description: The bootstrap token.
    type: str
  ca_cert_hashes:
    description: What the cluster's authority is known by.
    type: list
    elements: str
    default: []
  control_plane:
    description: Whether the machine is to be a further control plane.
    type: bool
    default: false
  advertise_address:
    description: With O(control_plane=true), the address of this node's API server; by itself that of the interface with the default route.
    type: str
  certificate_key:
    description: With O(control_plane=true), what opens the certificates that M(kubestrap.kubestrap.kubestrap_upload_certs) has put into the cluster.
    type: str
  config:
    description: More of the JoinConfiguration, like C(nodeRegistration), without secrets.
    type: dict
    default: {}
extends_documentation_fragment:
  - kubestrap.kubestrap.program
  - kubestrap.kubestrap.program.phases
  - kubestrap.kubestrap.program.bundle
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Join a worker
  kubestrap.kubestrap.kubestrap_join:
    endpoint: "{{ words.endpoint }}"
    token: "{{ words.token }}"
    ca_cert_hashes: "{{ words.ca_cert_hashes }}"
    config:
      nodeRegistration:
        kubeletExtraArgs:
          - name: node-ip
            value: 192.0.2.51
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
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import BUNDLED, KUBELET_CONF, Program, arguments, merged


def discovery(module):
    """How the cluster is found; None when there is no way yet."""
    wish = module.params
    if os.path.exists(KUBELET_CONF):
        return {"file": {"kubeConfigPath": KUBELET_CONF}}
    if wish["token"] and wish["endpoint"]:
        if not wish["ca_cert_hashes"]:
            module.fail_json(msg="ca_cert_hashes is empty: the cluster would be believed to be the right one whoever answers")
        return {
            "bootstrapToken": {"apiServerEndpoint": wish["endpoint"], "token": wish["token"], "caCertHashes": wish["ca_cert_hashes"]}
        }
    return None


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            "ignore_preflight_errors",
            "skip_phases",
            endpoint={"type": "str"},
            token={"type": "str", "no_log": True},
            ca_cert_hashes={"type": "list", "elements": "str", "default": []},
            control_plane={"type": "bool", "default": False},
            advertise_address={"type": "str"},
            certificate_key={"type": "str", "no_log": True},
            config={"type": "dict", "default": {}},
            **BUNDLED,
        ),
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    found = discovery(module)
    if found is None and module.check_mode:
        module.exit_json(changed=True, changes=[], msg="this machine is no node yet; what joining it would do cannot be told before there are a cluster and a token")
    if found is None:
        module.fail_json(msg="this machine is no node yet: endpoint and token say how it becomes one (kubestrap.kubestrap.kubestrap_token)")
    document = merged(
        {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration"},
        wish["config"],
        {"discovery": found},
    )
    if wish["control_plane"]:
        own = {"localAPIEndpoint": {"advertiseAddress": wish["advertise_address"]}} if wish["advertise_address"] else {}
        if wish["certificate_key"]:
            own["certificateKey"] = wish["certificate_key"]
        document = merged({"controlPlane": {}}, document, {"controlPlane": own})
    module.exit_json(**program.changed(["join"] + program.flags() + program.bundle_flags() + ["--config", "-"], [document]))


if __name__ == "__main__":
    main()
