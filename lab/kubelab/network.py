"""The lab's network: a namespace with a bridge (the switch), and a namespace with one cable to it for each machine.

All names come from the lab's record. Nothing is connected to the host's own network.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from pathlib import Path

from . import shell

PREFIX = "10.88"  # labs are 10.88.N.0/24; pods and services use kubeadm's customary ranges, inside each lab
NAMED = Path("/run/netns")
# Without one of its own a bridge takes the lowest of its ports', and another one when machines come: connections from it to them would hang.
SWITCH_ADDRESS = "02:00:00:00:00:01"
SWITCH_SETTINGS = {"ipv4/ip_forward": "1", "ipv4/icmp_ratelimit": "0"}


def subnet(name: str, taken: set[str] = frozenset()) -> str:
    """The /24 of a lab: derived from its name, or the next free one. `lab` itself has 10.88.0.0."""
    first = 0 if name == "lab" else int(hashlib.sha256(name.encode()).hexdigest(), 16) % 255 + 1
    for step in range(256):
        candidate = f"{PREFIX}.{(first + step) % 256}.0/24"
        if candidate not in taken:
            return candidate
    raise ValueError("256 labs stand already")


def address(machine: str, network: str, taken: set[str] = frozenset()) -> str:
    """A machine's address: n1 is .11, w1 is .51, and so on; other names come after them."""
    hosts = ipaddress.ip_network(network)
    numbered = re.fullmatch(r"([nw])([1-9]\d?)", machine)
    wanted = []
    if numbered and int(numbered[2]) < 40:
        wanted.append({"n": 10, "w": 50}[numbered[1]] + int(numbered[2]))
    for octet in [*wanted, *range(100, 251)]:
        candidate = str(hosts[octet])
        if candidate not in taken:
            return candidate
    raise ValueError(f"the lab's network {network} is full")


def gateway(network: str) -> str:
    return str(ipaddress.ip_network(network)[1])


def make_switch(namespace: str, network: str) -> None:
    """The switch is also the machines' default gateway. Whatever goes nowhere ends there, answered at once by a reset:

    a packet to a service that kube-proxy has not programmed yet would else be a timeout of 30 s in each client.
    """
    if not exists(namespace):
        shell.run(["ip", "netns", "add", namespace])
    _batch(
        namespace,
        "link set lo up",
        *([] if _has_link(namespace, "br0") else [f"link add br0 address {SWITCH_ADDRESS} type bridge"]),
        f"address replace {gateway(network)}/24 dev br0",
        "link set br0 up",
        "route replace local default dev lo table main",
    )
    for setting, value in SWITCH_SETTINGS.items():
        _set(namespace, setting, value)


def make_cable(switch: str, namespace: str, machine_address: str, network: str) -> None:
    """A machine's namespace with eth0, plugged into the switch."""
    port = port_name(machine_address)
    remove(namespace)
    _remove_port(switch, port)
    shell.run(["ip", "netns", "add", namespace])
    _batch(switch, f"link add {port} type veth peer name eth0 netns {namespace}", f"link set {port} master br0 up")
    _batch(
        namespace,
        "link set lo up",
        f"address add {machine_address}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {gateway(network)}",
    )


def port_name(machine_address: str) -> str:
    return f"port{machine_address.rsplit('.', 1)[1]}"


def remove(namespace: str) -> None:
    if exists(namespace):
        shell.run(["ip", "netns", "delete", namespace])


def exists(namespace: str) -> bool:
    return (NAMED / namespace).exists()


def add_route(namespace: str, cidr: str, via: str) -> None:
    _batch(namespace, f"route replace {cidr} via {via}")


def _remove_port(switch: str, port: str) -> None:
    """The kernel removes it with the other end's namespace, but takes its time: both may be first."""
    shell.try_run(["ip", "-n", switch, "link", "delete", port])


def _has_link(namespace: str, link: str) -> bool:
    return shell.try_run(["ip", "-n", namespace, "link", "show", link])


def _batch(namespace: str, *lines: str) -> None:
    """Several ip commands in one process."""
    what = f"ip in the network namespace {namespace} ({'; '.join(lines)})"
    shell.run(["ip", "-n", namespace, "-batch", "-"], what=what, input="\n".join(lines) + "\n")


def _set(namespace: str, setting: str, value: str) -> None:
    """A network setting of a namespace; a kernel that does not have it there does without."""
    file = "/proc/sys/net/" + setting
    command = f"[ ! -e {file} ] || echo {value} >{file}"
    shell.run(["ip", "netns", "exec", namespace, "sh", "-c", command], what=f"{setting} in {namespace}")
