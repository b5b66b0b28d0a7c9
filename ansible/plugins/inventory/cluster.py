# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster
short_description: The machines of a cluster.yaml, and what the roles need to know of them
description:
  - Reads the file that C(kubestrap cluster apply -f cluster.yaml) takes, so that one file says what a cluster is, whichever of the two makes it.
  - It is read by C(kubestrap cluster inventory), which asks no machine. So kubestrap has to be where Ansible runs.
  - The file's name is V(cluster.yaml), or ends with V(.cluster.yaml); V(.yml) will do, too.
  - All that is wrong with the file is told at once, in kubestrap's words, with line, field and what is expected.
  - Groups are C(kubestrap_control_planes) and C(kubestrap_workers), in the order of the file, and C(kubestrap_cluster), which has both.
  - What the file does not say is left to the roles, whose defaults are not always those of C(kubestrap init). Say C(layout) and C(podSubnet) where C(kubestrap cluster apply)
    is to make the same of it.
  - What the file says for all machines can be set otherwise in C(group_vars/kubestrap_cluster.yml) beside it, what it says for one in C(host_vars).
options:
  program:
    description: The kubestrap of the machine that Ansible runs on; a name without a slash is looked for on the C(PATH).
    type: str
    default: kubestrap
    env:
      - name: KUBESTRAP_PROGRAM
    ini:
      - section: kubestrap
        key: program
notes:
  - Ansible asks a plugin of a collection only where it is enabled, by C(enable_plugins) of C([inventory]) in C(ansible.cfg) or E(ANSIBLE_INVENTORY_ENABLED).
    It goes before P(ansible.builtin.yaml#inventory).
  - A file that is wrong ends Ansible with 4, and none of its machines is touched.
  - Of C(metadata.name) comes C(kubestrap_cluster_name).
  - Of C(hosts[].address) come C(kubestrap_node_address) and, where C(hosts[].ssh.host) says nothing else, C(ansible_host); of C(hosts[].name) comes
    C(kubestrap_node_name).
  - Of C(ssh) and C(hosts[].ssh) come C(ansible_user), C(ansible_port), C(ansible_ssh_private_key_file), and of C(configFile) C(ansible_ssh_common_args). Jump
    hosts are those of ssh's configuration. What is not said is not set. Paths are from the file's folder, and C(~/) is the home of who runs Ansible.
  - Of C(hosts[].labels) come C(kubestrap_node_labels), and of C(hosts[].taints) those of C(kubestrap_init_configuration) and C(kubestrap_join_configuration).
  - Of C(binary) and C(image) come C(kubestrap_binary) and C(kubestrap_image). An image that is not named is looked for beside the binary that is, then in
    V(/usr/lib/kubestrap). What is neither named nor found so is not brought.
  - Of C(hosting=self) comes C(kubestrap_self_hosted).
  - Of C(bundle) and C(offline) come C(kubestrap_bundle_source) and C(kubestrap_offline).
  - Of the documents come C(kubestrap_kubernetes_version), C(kubestrap_cluster_configuration), C(kubestrap_configuration),
    C(kubestrap_kubelet_configuration), C(kubestrap_kube_proxy_configuration), C(kubestrap_audit_policy), C(kubestrap_init_configuration),
    C(kubestrap_join_configuration), C(kubestrap_kubelet_extra_args) and C(kubestrap_ignore_preflight_errors).
  - Groups by label are made by P(ansible.builtin.constructed#inventory), as below.
  - Texts of the file are no templates. Keep secrets out of it, C(ansible-inventory --list) shows them.
requirements:
  - kubestrap on the machine that Ansible runs on
author:
  - The kubestrap project (@kubestrap)
"""

EXAMPLES = r"""
# ansible.cfg
# [inventory]
# enable_plugins = kubestrap.kubestrap.cluster, auto, yaml, ini

# cluster.yaml, for: ansible-playbook -i cluster.yaml kubestrap.kubestrap.site
apiVersion: kubestrap.io/v1alpha1
kind: Cluster
ssh:
  user: root
  identityFile: ~/.ssh/id_ed25519
binary: build/release/kubestrap
hosts:
  - name: n1
    address: 192.0.2.11
    role: control-plane
  - name: w1
    address: 192.0.2.51
    role: worker
    labels:
      disk: ssd
    ssh:
      host: w1.example.org
      user: admin
# --- and, where init needs them, ClusterConfiguration and its like

# Groups by label, like label_disk_ssd: ansible-playbook -i cluster.yaml -i labels.yml
# labels.yml
# plugin: constructed
# keyed_groups:
#   - key: kubestrap_node_labels
#     prefix: label
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

from ansible.plugins.inventory import BaseFileInventoryPlugin

try:
    from ansible.utils.unsafe_proxy import wrap_var as no_template
except ImportError:

    def no_template(value):
        return value


try:
    from ansible.template import trust_as_template as trusted  # since ansible-core 2.19
except ImportError:

    def trusted(value):
        return value


ALL = "kubestrap_cluster"
GROUPS = {"control-plane": "kubestrap_control_planes", "worker": "kubestrap_workers"}
DOCUMENTS = {
    "ClusterConfiguration": "kubestrap_cluster_configuration",
    "KubestrapConfiguration": "kubestrap_configuration",
    "KubeletConfiguration": "kubestrap_kubelet_configuration",
    "KubeProxyConfiguration": "kubestrap_kube_proxy_configuration",
    "Policy": "kubestrap_audit_policy",
}
PARSER_ERROR = 4  # Ansible's exit code


def without(mapping, *names):
    return {name: value for name, value in (mapping or {}).items() if name not in names}


def said(**variables):
    """Those that have a value."""
    return {name: value for name, value in variables.items() if value not in (None, "", [], {})}


def literal(value):
    """A text with braces is no template. Of others ansible-inventory wants to be told that they may be trusted, or it shows them as unsafe."""
    if isinstance(value, dict):
        return {name: literal(one) for name, one in value.items()}
    if isinstance(value, list):
        return [literal(one) for one in value]
    if isinstance(value, str):
        return no_template(value) if "{" in value else trusted(value)
    return value


def document(file, kind):
    """What stands beside the machines."""
    return without(file["documents"].get(kind), "apiVersion", "kind")


def ssh_variables(ssh):
    return said(
        ansible_user=ssh.get("user"),
        ansible_port=ssh.get("port"),
        ansible_ssh_private_key_file=ssh.get("identityFile"),
        ansible_ssh_common_args="-F %s" % shlex.quote(ssh["configFile"]) if "configFile" in ssh else None,
    )


def registration(file):
    """What InitConfiguration says of every node, and what of it the roles take as variables."""
    given = document(file, "InitConfiguration").get("nodeRegistration") or {}
    flags = given.get("kubeletExtraArgs") or []
    # The roles put a node-ip before these flags, where the file has none of its own.
    own_address = any(flag.get("name") == "node-ip" for flag in flags)
    taken = said(kubestrap_kubelet_extra_args=[] if own_address else flags, kubestrap_ignore_preflight_errors=given.get("ignorePreflightErrors"))
    return without(given, "name", "ignorePreflightErrors", *([] if own_address else ["kubeletExtraArgs"])), taken


def node_configurations(file, control_plane, taints=None):
    """More of InitConfiguration and of JoinConfiguration."""
    init = document(file, "InitConfiguration")
    node = registration(file)[0]
    if taints is not None:
        node = dict(node, taints=taints)
    port = said(bindPort=(init.get("localAPIEndpoint") or {}).get("bindPort"))
    begins = without(init, "nodeRegistration", "localAPIEndpoint")
    joins = {name: init[name] for name in ("patches", "timeouts") if name in init}
    if node:
        begins["nodeRegistration"] = joins["nodeRegistration"] = node
    if port:
        begins["localAPIEndpoint"] = port
    if port and control_plane:
        joins["controlPlane"] = {"localAPIEndpoint": port}
    return said(kubestrap_init_configuration=begins, kubestrap_join_configuration=joins)


def cluster_variables(file):
    documents = {variable: document(file, kind) for kind, variable in DOCUMENTS.items()}
    self_hosted = documents["kubestrap_configuration"].get("hosting") == "self"
    if self_hosted:  # which init takes as a flag, and not in a file
        documents["kubestrap_configuration"].pop("hosting")
    # In one place only, so that -e kubestrap_kubernetes_version=... is what counts.
    documents["kubestrap_cluster_configuration"].pop("kubernetesVersion", None)
    return dict(
        ssh_variables(file.get("ssh", {})),
        kubestrap_cluster_name=file["cluster"],
        **said(
            kubestrap_kubernetes_version=file.get("kubernetesVersion"),
            kubestrap_binary=file.get("binary"),
            kubestrap_image=file.get("image"),
            kubestrap_self_hosted=self_hosted or None,
            kubestrap_bundle_source=file.get("bundle"),
            kubestrap_offline=file.get("offline") or None,
            **documents,
        ),
        **registration(file)[1],
        **node_configurations(file, control_plane=False),
    )


def host_variables(file, host):
    common, taints = ssh_variables(file.get("ssh", {})), host.get("taints")
    return dict(
        # Of what is the same for all, group_vars may say otherwise.
        {name: value for name, value in ssh_variables(host["ssh"]).items() if common.get(name) != value},
        ansible_host=host["ssh"]["host"],
        kubestrap_node_name=host["name"],
        kubestrap_node_address=host["address"],
        kubestrap_node_labels=host.get("labels", {}),
        **({} if taints is None else node_configurations(file, host["role"] == "control-plane", taints)),
    )


class InventoryModule(BaseFileInventoryPlugin):
    NAME = "kubestrap.kubestrap.cluster"

    def verify_file(self, path):
        """A file of that name may be somebody else's."""
        if not super().verify_file(path) or not re.search(r"(?:^|\.)cluster\.ya?ml\Z", os.path.basename(path)):
            return False
        with open(path, "rb") as file:
            return b"kubestrap.io/" in file.read()

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache=cache)
        file = self.read(path)
        if ALL in inventory.groups and inventory.groups[ALL].get_hosts():
            self.end("%s: %s has machines of another file already, and two clusters would become one: play each by itself" % (path, ALL))
        for warning in file["warnings"]:
            self.display.warning("%s: %s" % (os.path.basename(path), warning))
        inventory.add_group(ALL)
        self.set_all(ALL, cluster_variables(file))
        for group in GROUPS.values():
            inventory.add_group(group)
            inventory.add_child(ALL, group)
        self.set_all(GROUPS["control-plane"], said(kubestrap_join_configuration=node_configurations(file, control_plane=True).get("kubestrap_join_configuration")))
        for host in file["hosts"]:
            inventory.add_host(host["name"], group=GROUPS[host["role"]])
            self.set_all(host["name"], host_variables(file, host))

    def read(self, path):
        """The file, as kubestrap tells it."""
        program = self.get_option("program")
        found = shutil.which(os.path.expanduser(program))
        if not found:
            self.end(
                "%s: kubestrap reads this file, and there is no program %s where Ansible runs: put it on the PATH, "
                "or say where it is by KUBESTRAP_PROGRAM, or by program in [kubestrap] of ansible.cfg" % (path, program)
            )
        try:
            told = subprocess.run([found, "cluster", "inventory", "-f", path, "-o", "json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
            return json.loads(told.stdout)
        except subprocess.CalledProcessError as error:
            self.end(error.stderr.strip() or str(error))
        except (OSError, ValueError) as error:  # it is for machines of another kind, or no kubestrap
            self.end("%s: %s cannot tell what is in it: %s" % (path, found, error))

    def end(self, what):
        """Ansible would hear of an error only when no other plugin takes the file, and its own yaml takes it for an inventory without machines."""
        self.display.error(what, wrap_text=False)
        sys.exit(PARSER_ERROR)

    def set_all(self, entity, variables):
        for name, value in variables.items():
            self.inventory.set_variable(entity, name, literal(value))
