"""Pod networking: the standard bridge plugin on every node, and a route to each node's pods on every other machine.

Driven from outside: a worker's own credentials may not list nodes.
"""

from __future__ import annotations

import json
import time

from . import machine as machines
from . import network, record, status
from .errors import LabError

PATIENCE = 60
REGISTRATION = 15  # what a machine that has its kubeconfig may take to be a node
FILE = "/etc/cni/net.d/10-lab.conflist"
ROUTES = "/etc/lab/routes"  # boot.sh sets these again after a power-off


def conflist(pod_cidr: str) -> str:
    """The plugin configuration of one node."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": pod_cidr}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "lab", "plugins": [bridge, ports]}, indent=2) + "\n"


def install(lab: record.Lab, progress, control_plane: str = "n1") -> None:
    """Gives every node of the cluster its pod network. To be called again after a join; changes only what differs."""
    joined = {name for name, one in lab.machines.items() if machines.running(one) and status.role(lab, one) != "bare"}
    nodes = wait_for_ranges(lab, control_plane, progress, joined)
    for name, cidr in nodes.items():
        if name in lab.machines:
            network.add_route(lab.switch, cidr, lab.machines[name].address)
    for name in nodes:
        machine = lab.machines.get(name)
        if machine is None or not machines.running(machine):
            continue
        progress.detail(f"pod network of {name}")
        routes = {
            cidr: lab.machines[peer].address for peer, cidr in nodes.items() if peer != name and peer in lab.machines
        }
        for cidr, via in routes.items():
            network.add_route(machine.namespace, cidr, via)
        _write(machine, ROUTES, "".join(f"{cidr} {via}\n" for cidr, via in routes.items()))
        _write(machine, FILE, conflist(nodes[name]))


def restore_switch_routes(lab: record.Lab) -> None:
    """The switch is new after all machines were off: it learns the pods' routes from the machines' disks again.

    Without them its answers to pods get lost, and what should fail at once takes 30 s.
    """
    for machine in lab.machines.values():
        file = lab.disk(machine) / "upper" / FILE.lstrip("/")
        if file.exists():
            cidr = json.loads(file.read_text())["plugins"][0]["ipam"]["ranges"][0][0]["subnet"]
            network.add_route(lab.switch, cidr, machine.address)


def wait_for_ranges(lab: record.Lab, control_plane: str, progress, expected: set[str] = frozenset()) -> dict[str, str]:
    """Node -> pod range. The controller manager sets them a moment after a node has registered.

    A join may end before its node has registered; `expected` ones are waited for, for as long as that takes at most, since they may also
    be of another cluster, or have another name there.
    """
    started = time.monotonic()
    command = ["kubectl", "get", "nodes", "-o", "json"]
    progress.detail("waiting for the nodes' pod ranges")
    while True:
        answer = ""
        try:
            answer = machines.run(lab.machine(control_plane), command, timeout=15)
            nodes = {item["metadata"]["name"]: item["spec"].get("podCIDR") for item in json.loads(answer)["items"]}
            if nodes and all(nodes.values()) and (expected <= nodes.keys() or time.monotonic() - started > REGISTRATION):
                return nodes
            seen = f"nodes and their ranges: {nodes}"
        except LabError as error:
            seen = f"{error}\n{error.evidence}"
        if time.monotonic() - started > PATIENCE:
            raise LabError(f"the nodes got no pod ranges within {PATIENCE} s", "is the controller manager up?", seen)
        time.sleep(0.3)


def _write(machine: record.Machine, path: str, content: str) -> None:
    """Puts a file into a running machine, complete or not at all, and only if it differs."""
    script = (
        'mkdir -p "${1%/*}"; cat >"${1%/*}/.new"; '
        'if cmp -s "${1%/*}/.new" "$1"; then rm "${1%/*}/.new"; else mv "${1%/*}/.new" "$1"; fi'
    )
    machines.run(machine, ["sh", "-c", script, "write", path], input=content)
