# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster
short_description: The machines of a cluster.yaml, and what the roles need to know of them
description:
  - Reads the file that C(kubestrap cluster apply -f cluster.yaml) takes, so that one file says what a cluster is, whichever of the two makes it.
  - The file is read here and not by kubestrap, since kubestrap need not be on the machine that Ansible runs on, and has no command that tells of the machines without asking them.
  - The file's name is V(cluster.yaml), or ends with V(.cluster.yaml); V(.yml) will do, too.
  - All that is wrong with the machines is told at once, with line, field and what is expected, in kubestrap's words. Fields of the documents beside them are
    judged by C(kubestrap init), before it changes anything.
  - Groups are C(kubestrap_control_planes) and C(kubestrap_workers), in the order of the file, and C(kubestrap_cluster), which has both.
  - What the file does not say is left to the roles, whose defaults are not always those of C(kubestrap init). Say C(layout) and C(podSubnet) where C(kubestrap cluster apply)
    is to make the same of it.
  - What the file says for all machines can be set otherwise in C(group_vars/kubestrap_cluster.yml) beside it, what it says for one in C(host_vars).
notes:
  - Ansible asks a plugin of a collection only where it is enabled, by C(enable_plugins) of C([inventory]) in C(ansible.cfg) or E(ANSIBLE_INVENTORY_ENABLED).
    It goes before P(ansible.builtin.yaml#inventory).
  - A file that is wrong ends Ansible with 4, and none of its machines is touched.
  - Of C(metadata.name) comes C(kubestrap_cluster_name).
  - Of C(hosts[].address) come C(kubestrap_node_address) and, where C(hosts[].ssh.host) says nothing else, C(ansible_host); of C(hosts[].name) comes
    C(kubestrap_node_name).
  - Of C(ssh) and C(hosts[].ssh) come C(ansible_user), C(ansible_port), C(ansible_ssh_private_key_file), and of C(configFile) C(ansible_ssh_common_args). Jump
    hosts are those of ssh's configuration. What is not said is not set.
  - Of C(hosts[].labels) come C(kubestrap_node_labels), and of C(hosts[].taints) those of C(kubestrap_init_configuration) and C(kubestrap_join_configuration).
  - Of C(binary) and C(image) come C(kubestrap_binary) and C(kubestrap_image). An image that is not named is looked for beside the binary, then in
    V(/usr/lib/kubestrap). Without C(binary) none of the two is brought.
  - C(bundle) and C(offline) are nothing that the roles know, and a warning says so.
  - Of the documents come C(kubestrap_kubernetes_version), C(kubestrap_cluster_configuration), C(kubestrap_configuration),
    C(kubestrap_kubelet_configuration), C(kubestrap_kube_proxy_configuration), C(kubestrap_init_configuration), C(kubestrap_join_configuration),
    C(kubestrap_kubelet_extra_args) and C(kubestrap_ignore_preflight_errors).
  - Groups by label are made by P(ansible.builtin.constructed#inventory), as below.
  - Texts of the file are no templates. Keep secrets out of it, C(ansible-inventory --list) shows them.
requirements:
  - PyYAML, which Ansible has
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

import os
import re
import shlex
import sys

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseFileInventoryPlugin
from ansible_collections.kubestrap.kubestrap.plugins.plugin_utils.cluster_file import NotACluster, Problems, read

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
}
IMAGE = "kubestrap-image.tar"
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


def ssh_variables(file, given):
    key, configuration = given.get("identityFile"), given.get("configFile")
    return said(
        ansible_user=given.get("user"),
        ansible_port=given.get("port") or None,
        ansible_ssh_private_key_file=file.beside_it(key) if key else "",
        # ssh itself does not know whose home ~ is.
        ansible_ssh_common_args="-F %s" % shlex.quote(os.path.expanduser(file.beside_it(configuration))) if configuration else "",
    )


def image_of(file):
    if file.cluster.get("image"):
        return file.beside_it(file.cluster["image"])
    if not file.cluster.get("binary"):
        return ""
    places = (os.path.dirname(file.beside_it(file.cluster["binary"])), "/usr/lib/kubestrap")
    found = [path for path in (os.path.join(place, IMAGE) for place in places) if os.path.exists(path)]
    return found[0] if found else ""


def registration(file):
    """What InitConfiguration says of every node, and what of it the roles take as variables."""
    given = file.beside.get("InitConfiguration", {}).get("nodeRegistration")
    flags = (given or {}).get("kubeletExtraArgs") or []
    # The roles put a node-ip before these flags, where the file has none of its own.
    own_address = any(isinstance(flag, dict) and flag.get("name") == "node-ip" for flag in flags)
    taken = said(kubestrap_kubelet_extra_args=[] if own_address else flags, kubestrap_ignore_preflight_errors=(given or {}).get("ignorePreflightErrors"))
    return without(given, "name", "ignorePreflightErrors", *([] if own_address else ["kubeletExtraArgs"])), taken


def node_configurations(file, control_plane, taints=None):
    """More of InitConfiguration and of JoinConfiguration."""
    init = file.beside.get("InitConfiguration", {})
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
    documents = {variable: file.beside[kind] for kind, variable in DOCUMENTS.items() if kind in file.beside}
    # In one place only, so that -e kubestrap_kubernetes_version=... is what counts.
    documents["kubestrap_cluster_configuration"] = without(documents.get("kubestrap_cluster_configuration"), "kubernetesVersion")
    binary = file.cluster.get("binary")
    paths = {"kubestrap_binary": file.beside_it(binary) if binary else "", "kubestrap_image": image_of(file)}
    return dict(
        ssh_variables(file, file.ssh),
        kubestrap_cluster_name=file.name,
        **said(kubestrap_kubernetes_version=file.version, **paths, **documents),
        **registration(file)[1],
        **node_configurations(file, control_plane=False),
    )


def host_variables(file, host):
    ssh, control_plane, taints = host.get("ssh") or {}, host["role"] == "control-plane", host.get("taints")
    return dict(
        ssh_variables(file, ssh),
        ansible_host=ssh.get("host") or host["address"],
        kubestrap_node_name=host["name"],
        kubestrap_node_address=host["address"],
        kubestrap_node_labels={name: value for name, value in (host.get("labels") or {}).items() if value is not None},
        **({} if taints is None else node_configurations(file, control_plane, taints)),
    )


class InventoryModule(BaseFileInventoryPlugin):
    NAME = "kubestrap.kubestrap.cluster"

    def verify_file(self, path):
        return super().verify_file(path) and bool(re.search(r"(?:^|\.)cluster\.ya?ml\Z", os.path.basename(path)))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache=cache)
        try:
            file = read(path)
        except NotACluster as problems:
            raise AnsibleParserError(str(problems)) from problems
        except Problems as problems:
            self.end(path, problems)
        if ALL in inventory.groups and inventory.groups[ALL].get_hosts():
            self.end(path, "%s has machines of another file already, and two clusters would become one: play each by itself" % ALL)
        for warning in file.warnings + self.unknown_to_roles(file):
            self.display.warning("%s: %s" % (os.path.basename(path), warning))
        inventory.add_group(ALL)
        self.set_all(ALL, cluster_variables(file))
        for group in GROUPS.values():
            inventory.add_group(group)
            inventory.add_child(ALL, group)
        self.set_all(GROUPS["control-plane"], said(kubestrap_join_configuration=node_configurations(file, control_plane=True).get("kubestrap_join_configuration")))
        for host in file.hosts:
            inventory.add_host(host["name"], group=GROUPS[host["role"]])
            self.set_all(host["name"], host_variables(file, host))

    def end(self, path, what):
        """Ansible would hear of an error only when no other plugin takes the file, and its own yaml takes it for an inventory without machines."""
        self.display.error("%s: %s" % (path, what), wrap_text=False)
        sys.exit(PARSER_ERROR)

    def set_all(self, entity, variables):
        for name, value in variables.items():
            self.inventory.set_variable(entity, name, literal(value))

    @staticmethod
    def unknown_to_roles(file):
        there = [name for name in ("bundle", "offline") if file.cluster.get(name)]
        return ["%s is nothing that the roles know: kubestrap cluster apply does" % name for name in there]
