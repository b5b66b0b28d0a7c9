"""An operator at a desk: a cluster.yaml, and kubestrap run beside the machines, which it reaches by ssh alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import yaml

from kubelab import cgroups, documents, paths
from testbed import ROOT, VERSION, Machine, Result

BINARY = ROOT / "build/release/kubestrap"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "SSH_AUTH_SOCK")}


# Machines, their pods, multicast on the link; and of IPv6 what a link needs by itself.
INSIDE = """\
table bridge outside {{
  chain seen {{
    type filter hook prerouting priority 0;
    ether type arp accept
    ip daddr {{ {network}, 10.244.0.0/16, 224.0.0.0/4 }} accept
    ip6 daddr {{ fe80::/10, ff00::/8 }} accept
    counter
  }}
}}
"""


class Switch:
    """Counts what goes over a lab's bridge to anywhere outside of it."""

    def __init__(self, lab, network: str):
        self.lab = lab
        self._nft("-f", "-", input=INSIDE.format(network=network))

    def _nft(self, *words: str, input: str | None = None) -> str:
        """nft of the machines' root file system: the host may have none."""
        root = next(paths.cache("rootfs").glob("base-*"))
        command = ["ip", "netns", "exec", f"lab-{self.lab.name}", "chroot", root, "nft", *words]
        return subprocess.run(command, input=input, capture_output=True, text=True, check=True).stdout

    def packets(self) -> int:
        listed = json.loads(self._nft("-j", "list", "chain", "bridge", "outside", "seen"))
        (count,) = [part["counter"]["packets"] for each in listed["nftables"] if "rule" in each for part in each["rule"]["expr"] if "counter" in part]
        return count


class Operator:
    def __init__(self, lab, folder: Path):
        self.lab, self.folder = lab, folder
        known = json.loads(lab.call("status", "-o", "json"))["ssh"]
        (folder / "ssh.config").write_text(f"Host *\n  User root\n  IdentityFile {known['key']}\n  UserKnownHostsFile {known['knownHosts']}\n")
        self.file = folder / "cluster.yaml"

    def describe(self, machines: list[Machine], version: str = VERSION, layout: str = "hosted", labels: dict[str, dict] | None = None, **more) -> None:
        """Writes the file: machines whose names begin with n are control planes."""
        addresses = {name: one["address"] for name, one in self.lab.status().items()}
        hosts = [{"name": each.name, "address": addresses[each.name], "role": "control-plane" if each.name.startswith("n") else "worker",
                  "labels": (labels or {}).get(each.name, {})} for each in machines]
        inventory = {"apiVersion": "kubestrap.io/v1alpha1", "kind": "Cluster", "metadata": {"name": "desk"}, "ssh": {"configFile": "ssh.config"}, "hosts": hosts} | more
        told = [each for each in yaml.safe_load_all(documents.init("node", "192.0.2.1", version, cgroups.version()))]
        for document in told:
            if document["kind"] == "InitConfiguration":  # what is a machine's own comes from the list
                del document["localAPIEndpoint"]["advertiseAddress"], document["nodeRegistration"]["name"], document["nodeRegistration"]["kubeletExtraArgs"]
        own = {"apiVersion": "kubestrap.io/v1alpha1", "kind": "KubestrapConfiguration", "layout": layout, "endpoint": {"mode": "local"}}
        self.file.write_text(yaml.safe_dump_all([inventory, *told, own], sort_keys=False))
        self.lab.forget_link_addresses()

    def fetch(self, machine: Machine, path: str, name: str) -> None:
        """A file of a machine, into the folder of cluster.yaml."""
        with (self.folder / name).open("wb") as file:
            inside = ["ip", "netns", "exec", f"lab-{self.lab.name}", "ssh", "-F", self.folder / "ssh.config", machine.address, "cat", path]
            subprocess.run(inside, stdin=subprocess.DEVNULL, stdout=file, check=True)

    def start(self, *words: str) -> subprocess.Popen:
        command = ["ip", "netns", "exec", f"lab-{self.lab.name}", BINARY, "cluster", words[0], "-f", self.file, *words[1:]]
        return subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str, timeout: float = 600) -> Result:
        began = time.monotonic()
        process = self.start(*words)
        out, err = process.communicate(timeout=timeout)
        print(f"cluster {' '.join(words)}: {time.monotonic() - began:.1f} s\n{err}")
        return Result(f"cluster {' '.join(words)}", process.returncode, out, err)

    def must(self, *words: str, code: int = 0, timeout: float = 600) -> Result:
        done = self.run(*words, timeout=timeout)
        assert done.code == code, str(done)
        return done

    def steps(self) -> dict[str, list[str]]:
        """What apply would do, by machine, where it would do anything."""
        planned = self.must("plan", "-o", "json").json
        return {host["name"]: [step["name"] for step in host["steps"]] for host in planned["hosts"] if host["steps"]}
