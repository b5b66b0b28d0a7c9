"""The lab as tests see it: machines that commands run on, files are read from and clusters are made of."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from kubelab import cgroups, cni, documents, versions

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ROOT / "lab"
CONFIG = "/root/init.yaml"
# Reads what kubestrap says and sends a signal, to it or to another process, DELAY seconds after the NTH line that holds TEXT, inside the machine:
# to the millisecond.
STOP = r"""
signal=$1 process=$2 text=$3 nth=$4 delay=$5; shift 5
rm -f /run/said; mkfifo /run/said
kubestrap "$@" >/run/out 2>/run/said & pid=$!
while IFS= read -r line; do
  printf '%s\n' "$line"
  case $line in *"$text"*) nth=$((nth - 1)); [ $nth = 0 ] && { (sleep "$delay"; kill -s "$signal" $(pidof "$process" || echo $pid)) & } ;; esac
done </run/said
wait $pid; echo "ended $?"
"""
PATIENCE = 180  # of whatever has to come true; generous, since the machine may be busy with other things
VERSION = versions.DEFAULT_KUBERNETES
OLDER = sorted(versions.KUBERNETES)[0]


@dataclass
class Result:
    """What a command said and how it ended."""

    command: str
    code: int
    out: str
    err: str
    lines: list[tuple[float, str]] = field(default_factory=list)  # of stderr, each with its moment
    ended: float = 0.0

    @property
    def json(self):
        return json.loads(self.out)

    def said_at(self, text: str) -> float:
        """When the line that holds `text` was read, in seconds since 1970."""
        for moment, line in self.lines:
            if text in line:
                return time.time() - (time.monotonic() - moment)
        raise AssertionError(f"{self.command} did not say {text!r}:\n{self.err}")

    def __str__(self):
        return f"{self.command}: exit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Machine:
    """One machine of the lab."""

    def __init__(self, lab: Lab, name: str):
        self.lab, self.name = lab, name

    @property
    def address(self) -> str:
        return self.lab.status()[self.name]["address"]

    # ---- commands

    def popen(self, *words: str, **more) -> subprocess.Popen:
        """Starts a command; its streams are pipes, its input is empty unless said otherwise."""
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | more
        return subprocess.Popen([COMMANDS / "exec", "--name", self.lab.name, self.name, "--", *words], **more)

    def try_(self, *words: str, input: str | None = None, timeout: float = PATIENCE) -> Result:
        """Runs a command to its end, however that is."""
        process = self.popen(*words, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL)
        out, lines = [], []
        readers = [
            threading.Thread(target=lambda: out.append(process.stdout.read())),
            threading.Thread(target=lambda: lines.extend((time.monotonic(), line) for line in process.stderr)),
        ]
        for reader in readers:
            reader.start()
        if input is not None:
            process.stdin.write(input)
            process.stdin.close()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            code = None
        ended = time.monotonic()
        for reader in readers:
            reader.join(10)
        result = Result(shlex.join(words), code, "".join(out), "".join(line for _, line in lines), lines, ended)
        assert code is not None, f"after {timeout:.0f} s still not done: {result}"
        return result

    def run(self, *words: str, **more) -> str:
        """Runs a command that has to succeed; its standard output."""
        result = self.try_(*words, **more)
        assert result.code == 0, str(result)
        return result.out

    def sh(self, script: str, *arguments: str, **more) -> str:
        return self.run("bash", "-c", script, "sh", *arguments, **more)

    def stop(self, *words: str, text: str = "[", nth: int = 1, delay: float = 0, signal: str = "KILL", process: str = "") -> str:
        """kubestrap with these words, which gets a signal after that line; or a process of that name does. What it said, with "ended CODE" as the
        last line."""
        return self.sh(STOP, signal, process, text, str(nth), str(delay), *words)

    # ---- files

    def read(self, path: str) -> str:
        return self.run("cat", path)

    def write(self, path: str, content: str, mode: str = "644") -> None:
        self.sh('mkdir -p "${1%/*}"; cat >"$1"; chmod "$2" "$1"', path, mode, input=content)

    def take(self, path: str, other: Machine) -> None:
        """A file of another machine, to the same place."""
        with other.popen("cat", path, text=False) as giving:
            taken = self.popen("sh", "-c", 'cat >"$1"', "sh", path, stdin=giving.stdout, text=False)
            assert (taken.wait(PATIENCE), giving.wait(PATIENCE)) == (0, 0), path

    def listing(self, *folders: str, but: tuple[str, ...] = ()) -> dict[str, str]:
        """Path -> type, mode, owner, time of change and link of all that is below; symbolic links are not followed."""
        prunes = [word for path in but for word in ("-path", path, "-prune", "-o")]
        out = self.run("find", *folders, "-xdev", *prunes, "-printf", r"%p\t%y %m %U %G %T@ %l\n")
        return dict(line.split("\t", 1) for line in out.splitlines())

    def digests(self, *folders: str) -> dict[str, str]:
        """Path -> SHA-256 of the files below."""
        script = 'find "$@" -xdev -type f -print0 2>/dev/null | sort -z | xargs -0r sha256sum'
        return dict(reversed(line.split(None, 1)) for line in self.sh(script, *folders).splitlines())

    # ---- Kubernetes

    def config(self, *changes: tuple[str, str], version: str = VERSION, layout: str | None = "plain") -> str:
        """The lab's documents for `init` on this machine; each change is a text and what stands in its place. Without a layout it is for who runs `init` to choose one."""
        text = documents.init(self.name, self.address, version, cgroups.version()) + (documents.alone(layout) if layout else "")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        return text

    def give_pod_network(self) -> None:
        """The pod network of a cluster's only node, whose range is known before there is a cluster."""
        self.write(cni.FILE, cni.conflist("10.244.0.0/24"))

    def init(self, *flags: str, config: str | None = None, **more) -> Result:
        """`kubestrap init` with the lab's documents, or with others."""
        self.write(CONFIG, config or self.config())
        return self.try_("kubestrap", "init", "--config", CONFIG, *flags, **more)

    def kubectl(self, *words: str, **more) -> str:
        return self.run("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", *words, **more)

    def get(self, *words: str):
        """`kubectl get` as a document."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def wait_nodes_ready(self) -> None:
        """Until all nodes are Ready."""
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", f"--timeout={PATIENCE}s", timeout=PATIENCE + 20)

    def wait_ready(self) -> None:
        """Until all nodes are Ready, and CoreDNS and kube-proxy too."""
        limit = f"--timeout={PATIENCE}s"
        self.wait_nodes_ready()
        self.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", limit, timeout=PATIENCE + 20)
        self.kubectl("-n", "kube-system", "rollout", "status", "daemonset/kube-proxy", limit, timeout=PATIENCE + 20)

    def start_pod(self, name: str, node: str) -> str:
        """A pod that serves on port 8080, with a service of its name; its address."""
        self.kubectl("apply", "-f", "-", input=pod_with_service(name, node))
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={PATIENCE}s", timeout=PATIENCE + 20)
        return self.get("pod", name)["status"]["podIP"]

    def in_pod(self, pod: str, *words: str) -> str:
        return self.kubectl("exec", pod, "--", *words)

    def until(self, what: str, question, patience: float = PATIENCE):
        """Asks until the answer is neither empty nor a failed assertion; that answer."""
        deadline = time.monotonic() + patience
        while True:
            try:
                answer = question()
                if answer:
                    return answer
                seen = repr(answer)
            except (AssertionError, KeyError, ValueError) as failed:
                seen = str(failed)
            assert time.monotonic() < deadline, f"not within {patience:.0f} s: {what}\n{seen}"
            time.sleep(0.3)


def pod_with_service(name: str, node: str) -> str:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "test",
                    "image": versions.TEST_IMAGE,
                    "imagePullPolicy": "Never",
                    "command": ["testtool", "serve", ":8080"],
                    "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                    "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "memory", "mountPath": "/memory"}, {"name": "authorities", "mountPath": "/authorities"}],
                }
            ],
            "volumes": [
                {"name": "memory", "emptyDir": {"medium": "Memory"}},
                {"name": "authorities", "configMap": {"name": "kube-root-ca.crt"}},
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, service]})


def administrator(machine: Machine):
    """A file with the administrator's certificate and key; and there is a ConfigMap `prober` to write to."""
    if "configmap/prober" not in machine.kubectl("get", "configmaps", "-o", "name"):
        machine.kubectl("create", "configmap", "prober")
    user = "jsonpath={.users[0].user.client-certificate-data} {.users[0].user.client-key-data}"
    file = tempfile.NamedTemporaryFile(prefix="prober-", suffix=".pem")
    for each in machine.kubectl("config", "view", "--raw", "-o", user).split():
        file.write(base64.b64decode(each))
    file.flush()
    return file


class Probe:
    """The prober in a machine's network, asking an API server's address there; its loopback's where no other is given.

    With `stored` it asks for what lies in etcd and anybody may read, which takes a quorum of etcd's members. With `writes` it writes, as
    the administrator, a ConfigMap of its own. With `trusting` it takes only what the cluster's authority of this moment has signed.
    """

    def __init__(self, machine: Machine, port: int, interval: float = 0.05, host: str = "127.0.0.1", path: str = "/version",
                 stored: bool = False, writes: bool = False, trusting: bool = False):
        self.credentials, self.authority = None, None
        if stored:
            path = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
        if writes:
            path = "/api/v1/namespaces/default/configmaps/prober"
            self.credentials = administrator(machine)
        if trusting:
            self.authority = tempfile.NamedTemporaryFile("w", prefix="prober-", suffix=".crt")
            self.authority.write(machine.read("/etc/kubernetes/pki/ca.crt"))
            self.authority.flush()
        files = [each.name if each else "" for each in (self.credentials, self.authority)]
        program = [sys.executable, Path(__file__).parent / "prober.py", host, str(port), str(interval), path, *files]
        inside = ["ip", "netns", "exec", machine.lab.network_of(machine), *program]
        self.process = subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "asking\n"
        self.what = f"{machine.name}: {host}:{port}{path}"

    def end(self) -> dict:
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        result = json.loads(out)
        print(f"{self.what}: {result['requests']} requests, {len(result['failed'])} failed, longest gap {result['longestGap']:.2f} s")
        return result


class Lab:
    """A lab of a name, by the commands in `lab/`."""

    def __init__(self, name: str):
        self.name = name
        self.keep = bool(os.environ.get("KUBESTRAP_KEEP_LAB"))

    def call(self, command: str, *words: str, timeout: float = 3600) -> str:
        done = subprocess.run(
            [COMMANDS / command, "--name", self.name, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )
        assert done.returncode == 0, f"lab/{command} {' '.join(words)}: exit code {done.returncode}\n{done.stderr}"
        return done.stdout

    def begin(self) -> None:
        """Waits for another run of tests on the same lab, which would pull the machines from under this one."""
        self.lock = open(f"/run/lock/kubestrap-tests-{self.name}.lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        assert (ROOT / "build/release/kubestrap").exists(), "build it first: ./build.sh release"
        if not self.keep:
            self.call("down")

    def end(self) -> None:
        try:
            if not self.keep:
                self.call("down")
        finally:
            self.lock.close()

    def status(self) -> dict[str, dict]:
        return {machine["name"]: machine for machine in json.loads(self.call("status", "-o", "json"))["machines"]}

    def machine(self, name: str, version: str = VERSION, images: bool = True, also: tuple[str, ...] = ()) -> Machine:
        """A bare machine that runs, with this version's images, and those of others, or without any."""
        others = [word for each in also for word in ("--also-images", each)]
        self.call("machine", "--fresh", "--kubernetes", version, *others, *([] if images else ["--no-images"]), name)
        return Machine(self, name)

    def network_of(self, machine: Machine) -> str:
        """The network namespace of a machine, as `ip netns` names it."""
        return f"lab-{self.name}.{machine.name}"

    @property
    def switch(self) -> str:
        """The network namespace of the lab's switch, which stays when machines lose their power."""
        return f"lab-{self.name}"

    def reset(self, *machines: Machine) -> None:
        self.call("reset-machine", *(machine.name for machine in machines))

    def off(self, *machines: Machine) -> None:
        """Ends machines that are not needed any more, so that they take no time from the others."""
        self.call("power-off", *(machine.name for machine in machines))

    def on(self, *machines: Machine) -> None:
        self.call("power-on", *(machine.name for machine in machines))
        self.forget_link_addresses()

    def forget_link_addresses(self) -> None:
        """A machine that was made anew, or switched on, has another link address at the same IP address."""
        subprocess.run(["ip", "-n", self.switch, "neighbour", "flush", "dev", "br0"], check=True)

    def install_pod_network(self, control_plane: Machine) -> None:
        self.call("cni", "--control-plane", control_plane.name)

    def evidence(self):
        """Of every machine that runs: what would be asked first."""
        try:
            machines = [Machine(self, name) for name, one in self.status().items() if one["state"] == "running"]
        except (AssertionError, OSError, subprocess.SubprocessError):
            return
        for machine in machines:
            if machine.try_("test", "-e", "/etc/kubernetes/manifests").code != 0:
                continue  # bare: nothing to tell
            for command in (
                "journalctl -u kubelet --no-pager -o cat -n 15 | cut -c -300",
                "ctr -n k8s.io containers ls | awk '!/pause/ {print $1, $2}'",
                "KUBECONFIG=/etc/kubernetes/admin.conf timeout 5 kubectl get nodes,pods -A -o wide 2>&1 | cut -c -120",
                "tail -n 5 /var/lib/kubestrap/journal | cut -c -200",
                "cat /var/log/pods/kube-system_kubestrap-front-*/front/*.log 2>&1 | tail -n 20 | cut -c -200",
            ):
                try:
                    yield f"{machine.name}: {command.split(' | ')[0]}", machine.try_("bash", "-c", command, timeout=20).out
                except (AssertionError, OSError) as failed:
                    yield f"{machine.name}: {command}", f"could not be asked: {failed}"
