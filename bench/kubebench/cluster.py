"""Three control planes and three workers from bare machines, over ssh: apply, and a script that runs the real kubeadm on one machine after the other.

And how long it takes to look at a thousand machines, whose part a script plays.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from .figure import PROGRAMS, Figure, say
from .machine import LAB, ROOT, cgroups, documents, lab, versions

NAMES = ("n1", "n2", "n3", "w1", "w2", "w3")
BINARY = ROOT / "build/release/kubestrap"
KEY = "0123456789abcdef" * 4
HOSTS = 1000
ANSWER = {"machine": os.uname().machine, "kernel": "Linux", "binary": "", "image": "", "bundle": "", "authority": "", "node": False, "controlPlane": False,
          "begun": "", "busy": None, "status": None}


def figures(runs: int) -> list[Figure]:
    made = Figure("three control planes and three workers", "s", 0.5, "over ssh, from bare machines that have the images, until the command returns", 45)
    lab("machine", *NAMES)
    for number in range(runs):
        for program in PROGRAMS:
            say(f"{program} on {len(NAMES)} machines, run {number + 1} of {runs}")
            lab("reset-machine", *NAMES)
            subprocess.run(["ip", "-n", f"lab-{LAB}", "neighbour", "flush", "dev", "br0"], check=True)
            with tempfile.TemporaryDirectory() as folder:
                desk = Desk(Path(folder))
                began = time.monotonic()
                (desk.apply if program == "kubestrap" else desk.script)()
                made.values[program].append(time.monotonic() - began)
    return [made, *looks(runs)]


class Desk:
    """Where an operator sits: an ssh configuration, and the machines' addresses."""

    def __init__(self, folder: Path):
        self.folder = folder
        known = json.loads(lab("status", "-o", "json"))
        self.addresses = {one["name"]: one["address"] for one in known["machines"] if one["name"] in NAMES}
        (folder / "ssh.config").write_text(f"Host *\n  User root\n  IdentityFile {known['ssh']['key']}\n  UserKnownHostsFile {known['ssh']['knownHosts']}\n")

    def run(self, *words, **more) -> str:
        done = subprocess.run(["ip", "netns", "exec", f"lab-{LAB}", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        if done.returncode != 0:
            raise SystemExit(f"error: {words} ended with {done.returncode}\n{done.stderr[-3000:]}")
        return done.stdout

    def ssh(self, name: str, *words: str, content: str = "") -> str:
        return self.run("ssh", "-F", self.folder / "ssh.config", self.addresses[name], shlex.join(words), input=content)

    def apply(self) -> None:
        hosts = [{"name": name, "address": address, "role": "control-plane" if name.startswith("n") else "worker"} for name, address in self.addresses.items()]
        inventory = {"apiVersion": "kubestrap.io/v1alpha1", "kind": "Cluster", "ssh": {"configFile": "ssh.config"}, "hosts": hosts}
        told = documents.init("n1", self.addresses["n1"], versions.DEFAULT_KUBERNETES, cgroups.version())
        # What is a machine's own comes from the list.
        told = told.replace(f"  kubeletExtraArgs:\n  - name: node-ip\n    value: {self.addresses['n1']}\n", "")
        (self.folder / "cluster.yaml").write_text(json.dumps(inventory) + "\n---\n" + told + documents.KUBESTRAP.format(layout="plain"))
        self.run(BINARY, "cluster", "apply", "-f", self.folder / "cluster.yaml", "--yes", stdin=subprocess.DEVNULL)

    def script(self) -> None:
        first = self.addresses["n1"]
        told = documents.init("n1", first, versions.DEFAULT_KUBERNETES, cgroups.version(), f"{first}:6443")
        self.kubeadm("n1", "init", documents.with_certificate_key(told, KEY), "--upload-certs")
        words = shlex.split(self.ssh("n1", "env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubeadm", "token", "create", "--print-join-command"))
        token, pin = words[words.index("--token") + 1], words[words.index("--discovery-token-ca-cert-hash") + 1]
        for name in NAMES[1:]:
            self.kubeadm(name, "join", documents.join(name, self.addresses[name], f"{first}:6443", token, pin, KEY if name.startswith("n") else None, cgroups.version()))

    def kubeadm(self, name: str, command: str, document: str, *flags: str) -> None:
        self.ssh(name, "sh", "-c", f"cat >/root/{command}.yaml && kubeadm {command} --config /root/{command}.yaml {' '.join(flags)}", content=document)


def looks(runs: int) -> list[Figure]:
    seconds = Figure(f"plan of {HOSTS} machines", "s", None, "a script plays ssh, and answers after 50 ms", 10)
    memory = Figure(f"plan of {HOSTS} machines, memory", "MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ssh").write_text(f"#!/bin/sh\nsleep 0.05\necho {shlex.quote(json.dumps(ANSWER))}\n")
        (folder / "ssh").chmod(0o755)
        hosts = [{"name": f"h{at}", "address": f"10.{at // 250}.{at % 250}.1", "role": "control-plane" if at < 3 else "worker"} for at in range(HOSTS)]
        (folder / "cluster.yaml").write_text(json.dumps({"apiVersion": "kubestrap.io/v1alpha1", "kind": "Cluster", "hosts": hosts}))
        for _ in range(runs):
            began = time.monotonic()
            process = subprocess.Popen([BINARY, "cluster", "plan", "-f", folder / "cluster.yaml"], stdout=subprocess.DEVNULL, env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"})
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise SystemExit(f"error: plan ended with {process.returncode}")
            seconds.values["kubestrap"].append(time.monotonic() - began)
            memory.values["kubestrap"].append(usage.ru_maxrss / 1000)
    return [seconds, memory]
