"""An operator at a desk: a cluster.yaml, and kubestrap run beside the machines, which it reaches by ssh alone."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from kubelab import cgroups, documents, packages, paths, store, versions
from kubelab.progress import Silent
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


def counting(lab, machine: Machine) -> tuple[Switch, int]:
    """The switch, which a packet of the machine to nowhere has shown to count, and what it has counted by then."""
    switch = Switch(lab, f"{machine.address.rsplit('.', 1)[0]}.0/24")
    machine.try_("curl", "-s", "-m", "2", "http://192.0.2.1/")
    counted = switch.packets()
    assert counted > 0
    return switch, counted


class Operator:
    def __init__(self, lab, folder: Path):
        self.lab, self.folder = lab, folder
        known = json.loads(lab.call("status", "-o", "json"))["ssh"]
        (folder / "ssh.config").write_text(f"Host *\n  User root\n  IdentityFile {known['key']}\n  UserKnownHostsFile {known['knownHosts']}\n")
        self.file = folder / "cluster.yaml"
        self.environment = dict(ENVIRONMENT)

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

    def start(self, *words: str, **more) -> subprocess.Popen:
        command = ["ip", "netns", "exec", f"lab-{self.lab.name}", BINARY, "cluster", words[0], "-f", self.file, *words[1:]]
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | more
        return subprocess.Popen(command, env=self.environment, **more)

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


@contextmanager
def agent(*keys: str):
    """An ssh-agent that holds these keys; the path of its socket, which may not be long."""
    folder = tempfile.mkdtemp(prefix="agent-")
    with subprocess.Popen(["ssh-agent", "-D", "-a", f"{folder}/socket"], stdout=subprocess.DEVNULL) as process:
        try:
            while not os.path.exists(f"{folder}/socket"):
                assert process.poll() is None
                time.sleep(0.02)
            subprocess.run(["ssh-add", "-q", *keys], env=os.environ | {"SSH_AUTH_SOCK": f"{folder}/socket"}, check=True)
            yield f"{folder}/socket"
        finally:
            process.terminate()
            process.wait(10)  # it takes its socket away itself
            shutil.rmtree(folder)


def give_package(machine: Machine, name: str) -> None:
    """A package of the machines' distribution, which has to depend on nothing but what they have."""

    def download(into: Path) -> None:
        packages.NewerSuite(versions.MACHINE_SUITE).download([name], into, Silent())

    (deb,) = store.make("packages", f"{versions.MACHINE_SUITE}-{name}", build=download, progress=Silent()).glob("*.deb")
    with deb.open("rb") as file:
        unpacked = machine.popen("sh", "-c", "cat >/root/package.deb && dpkg -i /root/package.deb && rm /root/package.deb", stdin=file)
        out, err = unpacked.communicate(timeout=120)
    assert unpacked.returncode == 0, out + err


class AtMachine:
    """Somebody who has logged in at a machine: kubestrap runs there."""

    def __init__(self, machine: Machine):
        self.machine = machine

    def start(self, *words: str, **more) -> subprocess.Popen:
        return self.machine.popen("kubestrap", *words, **more)


class Terminal:
    """A kubestrap on a terminal, with a keyboard; and what stands on its screen, which is as long as it has to be."""

    def __init__(self, operator: Operator | AtMachine, *words: str, columns: int = 80, rows: int = 24):
        self.lines, self.row, self.column = [""], 0, 0
        self.text = codecs.getincrementaldecoder("utf-8")()
        self.rest = ""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        take = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # noqa: E731; of the child: its keyboard is this one
        self.process = operator.start(*words, stdin=theirs, stdout=theirs, stderr=theirs, text=False, start_new_session=True, preexec_fn=take)
        os.close(theirs)

    def screens(self, patience: float | None = None):
        """The screen after each change, until the program has ended; with patience, for so long."""
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            if deadline is not None:
                shown = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))[0]
                assert shown, f"not within {patience:.0f} s:\n" + "\n".join(self.lines)
            try:
                data = os.read(self.ours, 1 << 16)
            except OSError:  # nobody has the other side any more
                data = b""
            if not data:
                break
            self._show(self.text.decode(data))
            yield list(self.lines)
        os.close(self.ours)
        self.process.wait(60)

    def until(self, text: str, patience: float | None = None) -> None:
        for lines in self.screens(patience):
            if any(text in line for line in lines):
                return
        raise AssertionError(f"{text!r} did not come to stand there:\n" + "\n".join(self.lines))

    def types(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def ends(self, patience: float | None = None) -> int:
        """The exit code, when the program has said its last."""
        for _ in self.screens(patience):
            pass
        return self.process.returncode

    def _show(self, text: str) -> None:
        self.rest += text
        while self.rest:
            if self.rest[0] == "\033":
                found = re.match(r"\033\[(\d*)([A-Za-z])", self.rest)
                if not found:
                    assert len(self.rest) < 8, f"not known: {self.rest[:20]!r}"
                    return  # the rest of it comes later
                self._obey(found[2], int(found[1] or "0"))
                self.rest = self.rest[found.end():]
            else:
                self._write(self.rest[0])
                self.rest = self.rest[1:]

    def _obey(self, command: str, count: int) -> None:
        if command == "A":
            assert self.row >= count, "it goes above its beginning"
            self.row -= count
        elif command == "J":
            self.lines = [*self.lines[: self.row], self.lines[self.row][: self.column]]
        elif command == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        else:
            raise AssertionError(f"not known: {count}{command}")

    def _write(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1:]
            self.column += 1
