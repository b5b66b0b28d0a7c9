"""Ansible as the tests use it: the collection as it would be published, an inventory of the lab's machines, plays and what they tell."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubelab import cgroups, documents
from testbed import ROOT, VERSION

BINARY = ROOT / "build/release/kubestrap"


def newest_build() -> Path | None:
    """The kubestrap that was built last: for the desk any will do."""
    places = [os.environ.get("KUBESTRAP_BINARY", ""), *(ROOT / f"build/{preset}/kubestrap" for preset in ("dev", "asan", "release"))]
    built = [Path(place) for place in places if place and Path(place).is_file()]
    return max(built, key=lambda each: each.stat().st_mtime, default=None)


def of_lab(kind: str) -> dict:
    """What the lab's machines need and a machine of one's own does not: see lab/kubelab/documents.py."""
    told = yaml.safe_load_all(documents.init("node", "192.0.2.1", VERSION, cgroups.version()))
    document = next(each for each in told if each["kind"] == kind)
    return {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}


@dataclass
class Play:
    """What a play said and how it ended."""

    code: int
    out: str
    document: dict

    @property
    def changed(self) -> dict[str, int]:
        return {host: one["changed"] for host, one in self.document["hosts"].items()}

    def of(self, task: str) -> dict[str, dict]:
        """What a task, by a part of its name, said of each host where it was not skipped."""
        return {each["host"]: each["result"] for each in self.document["results"] if task in each["task"]}

    def __str__(self):
        return f"ansible-playbook ended with {self.code}\n{self.out[-6000:]}"


class Ansible:
    def __init__(self, tools: Path, folder: Path):
        self.tools, self.folder = tools, folder
        self.environment = os.environ | {
            "PATH": f"{tools / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(tools),
            "HOME": str(folder),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
            "KUBESTRAP_PROGRAM": str(newest_build() or "kubestrap"),
        }
        # As README.md has it: Ansible takes it from the folder that it is started in.
        (folder / "ansible.cfg").write_text("[inventory]\nenable_plugins = kubestrap.kubestrap.cluster, auto, yaml, ini\n")

    def run(self, *words, **more) -> subprocess.CompletedProcess:
        more = {"cwd": self.folder, "env": self.environment} | more
        return subprocess.run([*map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)

    def must(self, *words, **more) -> str:
        done = self.run(*words, **more)
        assert done.returncode == 0, f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    def install(self, source: Path) -> None:
        """Builds the collection's archive and installs it from there."""
        self.must("ansible-galaxy", "collection", "build", "--output-path", self.folder, source)
        (self.archive,) = self.folder.glob("kubestrap-kubestrap-*.tar.gz")
        self.must("ansible-galaxy", "collection", "install", self.archive, "--collections-path", self.folder / "collections", "--offline")

    @property
    def collection(self) -> Path:
        return self.folder / "collections/ansible_collections/kubestrap/kubestrap"

    def inventory(self, lab, control_planes: list[str], workers: list[str] = (), **more) -> None:
        """Names of machines as hosts. Ansible reaches them by these names, as through a jump host or forwarded ports: no address tells it anything."""
        known = json.loads(lab.call("status", "-o", "json"))
        lines = [f"Host {one['name']}\n  HostName {one['address']}\n" for one in known["machines"]]
        key = f"  IdentityFile {known['ssh']['key']}\n  UserKnownHostsFile {known['ssh']['knownHosts']}\n"
        (self.folder / "ssh.config").write_text("".join([*lines, "Host *\n", key]))
        variables = {
            "ansible_user": "root",
            "ansible_ssh_common_args": f"-F {self.folder / 'ssh.config'}",
            "ansible_python_interpreter": "/usr/bin/python3",
            # The lab's kubelet is no package, and its network has no way to any.
            "kubestrap_node_packages": ["conntrack", "iptables", "mount"],
            "kubestrap_binary": str(BINARY),
            "kubestrap_image": str(BINARY.with_name("kubestrap-image.tar")),
            "kubestrap_ignore_preflight_errors": ["SystemVerification"],
            "kubestrap_kubelet_configuration": of_lab("KubeletConfiguration"),
            "kubestrap_kube_proxy_configuration": of_lab("KubeProxyConfiguration"),
        } | more
        variables = {name: value for name, value in variables.items() if value is not None}  # left to the roles
        groups = {"kubestrap_control_planes": {"hosts": dict.fromkeys(control_planes, {})}, "kubestrap_workers": {"hosts": dict.fromkeys(workers, {})}}
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"children": groups, "vars": variables}}))

    @staticmethod
    def telling(told: Path) -> dict:
        """What lets ansible-playbook write into that file what each task returned."""
        return {"ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"), "ANSIBLE_CALLBACKS_ENABLED": "told", "TOLD": str(told)}

    def play(self, lab, playbook: str, *words: str, inventory: Path | None = None) -> Play:
        """The host is not on the lab's network: Ansible starts where the lab's switch is."""
        told = self.folder / "told.json"
        told.unlink(missing_ok=True)
        environment = self.environment | self.telling(told)
        # A machine that was made anew has another link address at the same IP address.
        subprocess.run(["ip", "-n", f"lab-{lab.name}", "neighbour", "flush", "dev", "br0"], check=True)
        inside = ["ip", "netns", "exec", f"lab-{lab.name}"]
        done = self.run(*inside, "ansible-playbook", "-i", inventory or self.folder / "inventory.json", f"kubestrap.kubestrap.{playbook}", *words, env=environment)
        assert told.exists(), done.stdout
        return Play(done.returncode, done.stdout, json.loads(told.read_text()))
