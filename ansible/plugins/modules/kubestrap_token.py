#!/usr/bin/python
# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: kubestrap_token
short_description: Says with what a machine joins a cluster
description:
  - Runs on a control plane node. A bootstrap token that is valid for a while yet is used again; where there is none, one is made by
    C(kubestrap token create).
  - What it returns is secret. Give the task C(no_log=true).
options:
  ttl:
    description: How long a token that is made is valid.
    type: str
    default: 2h
  remaining:
    description: How many seconds a token that exists has to be valid yet, so that it is used again.
    type: int
    default: 900
  kubeconfig:
    description: With which the cluster is spoken to.
    type: path
    default: /etc/kubernetes/admin.conf
notes:
  - In check mode no token is made. Where none exists, V(token) is empty.
extends_documentation_fragment:
  - kubestrap.kubestrap.program
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
- name: Ask the first control plane for the words that join a machine
  kubestrap.kubestrap.kubestrap_token:
  delegate_to: "{{ groups['kubestrap_control_planes'][0] }}"
  run_once: true
  register: words
  no_log: true
"""

RETURN = r"""
token:
  description: The token; empty in check mode where one would be made.
  returned: success
  type: str
endpoint:
  description: Address and port of an API server.
  returned: success
  type: str
  sample: 192.0.2.11:6443
ca_cert_hashes:
  description: What the cluster's authority is known by.
  returned: success
  type: list
  elements: str
"""

import os
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubestrap.kubestrap.plugins.module_utils.program import ADMIN_CONF, Program, arguments


GROUP = "system:bootstrappers:kubeadm:default-node-token"
USAGES = {"authentication", "signing"}


def usable(token, remaining):
    """Whether machines can join with it, and for a while yet."""
    if GROUP not in token["groups"] or not USAGES <= set(token["usages"]):
        return False
    if token["expires"] is None:
        return True
    expires = datetime.strptime(token["expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return (expires - datetime.now(timezone.utc)).total_seconds() > remaining


def main():
    module = AnsibleModule(
        argument_spec=arguments(
            ttl={"type": "str", "default": "2h"},
            remaining={"type": "int", "default": 900},
            kubeconfig={"type": "path", "default": ADMIN_CONF},
        ),
        supports_check_mode=True,
    )
    program = Program(module)
    wish = module.params
    if module.check_mode and not os.path.exists(wish["kubeconfig"]):
        module.exit_json(changed=True, token="", endpoint="", ca_cert_hashes=[], msg="there is no cluster yet")
    access = ["--kubeconfig", wish["kubeconfig"]]
    tokens, dummy = program.ask(["token", "list"] + access)
    known = [each["token"] for each in tokens["items"] if usable(each, wish["remaining"])]
    making = ["token", "create", "--ttl", wish["ttl"], "--description", "Made by Ansible"] + access
    # The dry run says where the cluster is; the token that it says is known to nobody.
    answer, dummy = program.ask(making + (["--dry-run"] if known or module.check_mode else []))
    token = known[0] if known else "" if module.check_mode else answer["token"]
    module.exit_json(changed=not known, token=token, endpoint=answer["apiServerEndpoint"], ca_cert_hashes=answer["caCertHashes"])


if __name__ == "__main__":
    main()
