# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0
"""Which address of a machine its cluster is to know it by."""

from __future__ import annotations

import ipaddress
import re

from ansible.errors import AnsibleFilterError

# Made by pod networks, container runtimes and hypervisors: of the machine alone, or of its pods.
OTHERS_INTERFACES = re.compile(
    r"^(lo|cni|flannel|cali|cilium|lxc|tunl|vxlan|wireguard|weave|kube-|nodelocaldns|antrea|ovn|veth|docker|br-|podman|virbr|vnet|dummy)"
)
NAT = ipaddress.ip_network("10.0.2.0/24")  # VirtualBox and QEMU give every machine 10.0.2.15 there
LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")


def addresses(facts):
    """All IPv4 addresses of a machine's own interfaces, that of the default route first."""
    gateway = (facts.get("default_ipv4") or {}).get("interface")
    names = sorted(facts.get("interfaces") or [], key=lambda name: (name != gateway, name))
    found = []
    for name in names:
        if OTHERS_INTERFACES.match(name):
            continue
        interface = facts.get(name.replace("-", "_").replace(":", "_").replace(".", "_")) or facts.get(name) or {}
        for one in [interface.get("ipv4") or {}] + (interface.get("ipv4_secondaries") or []):
            if one.get("address") and one["address"] not in found:
                found.append(one["address"])
    return found


def node_address(facts, others, network="", connection=""):
    """The address by which other nodes reach this one; `others` are the facts of the other machines."""
    elsewhere = {address for each in others for address in addresses(each)}
    own = addresses(facts)
    left = [one for one in own if one not in elsewhere and ipaddress.ip_address(one) not in NAT and ipaddress.ip_address(one) not in LINK_LOCAL]
    if network:
        left = [one for one in left if ipaddress.ip_address(one) in ipaddress.ip_network(network)]
    if not left:
        told = ", ".join("%s%s" % (one, " (another machine has it, too)" if one in elsewhere else "") for one in own) or "none"
        where = " in %s" % network if network else ""
        raise AnsibleFilterError("no address%s is this machine's alone; it has: %s. Say which one with kubestrap_node_address" % (where, told))
    return connection if connection in left else left[0]


class FilterModule:
    def filters(self):
        return {"node_address": node_address}
