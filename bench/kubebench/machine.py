"""The lab's machine on which both programs take turns, and how a command is measured there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

from kubelab import cgroups, cni, documents, versions  # noqa: E402  (the lab's own configuration and pod network)

LAB = os.environ.get("KUBESTRAP_BENCH_LAB", "bench")
NODE = "n1"
PEER = "n2"  #: kubeadm's, where both clusters are needed at once
CONFIG = "/etc/kubestrap/init.yaml"

# kubeadm makes RSA-2048 keys unless told otherwise, kubestrap P-256 (an operator who changes nothing gets these).
DEFAULT_ALGORITHM = {"kubeadm": "RSA-2048", "kubestrap": "ECDSA-P256"}

# Runs in the machine: a command's wall time, and the peak memory of its own process (the kernel's high-water mark, read every 5 ms: the
# peak that GNU time reports would be that of the `kubelet --version` which both programs run).
MEASURE = """
import subprocess, sys, time
began = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=open("/var/log/bench.out", "w"), stderr=open("/var/log/bench.err", "w"))
peak = 0
while child.poll() is None:
    try:
        peak = max([peak] + [int(line.split()[1]) for line in open(f"/proc/{child.pid}/status") if line.startswith("VmHWM")])
    except OSError:
        pass
    time.sleep(0.005)
print(began, time.monotonic() - began, peak, child.returncode)
"""


def lab(*words: str, **more) -> str:
    result = subprocess.run([str(ROOT / "lab" / words[0]), "--name", LAB, *words[1:]], stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.PIPE, **more)
    if result.returncode != 0:
        raise SystemExit(f"error: ./lab/{' '.join(words)} ended with {result.returncode}\n{result.stderr[-2000:]}{result.stdout[-2000:]}")
    return result.stdout


def in_machine(*command: str, machine: str = NODE, **more) -> str:
    return lab("exec", machine, "--", *command, **more)


def in_network(*program: str, machine: str = NODE) -> subprocess.Popen:
    """A program of Python's that runs outside of the machine, but in its network."""
    return subprocess.Popen(["ip", "netns", "exec", f"lab-{LAB}.{machine}", sys.executable, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def prober(address: str, path: str) -> subprocess.Popen:
    """Asks for the path twenty times a second, each time by a new connection; `probed` ends it."""
    process = in_network(str(ROOT / "tests/system/prober.py"), address, "6443", "0.05", path)
    process.stdout.readline()
    return process


def probed(process: subprocess.Popen) -> dict:
    out, _ = process.communicate(timeout=60)
    return json.loads(out)


def write(path: str, content: str, machine: str = NODE) -> None:
    in_machine("sh", "-c", f"mkdir -p {os.path.dirname(path)} && cat > {path}", machine=machine, input=content)


def address_of(machine: str = NODE) -> str:
    return next(one["address"] for one in json.loads(lab("status", "-o", "json"))["machines"] if one["name"] == machine)


def fresh_machine(algorithm: str, layout: str = "plain", machine: str = NODE) -> None:
    """A bare machine with the configuration, and the pod network's file already in place, so that Ready needs nobody else's help."""
    lab("reset-machine", machine)
    configure(algorithm, layout, machine)


def configure(algorithm: str, layout: str = "plain", machine: str = NODE, version: str = versions.DEFAULT_KUBERNETES) -> None:
    config = documents.init(machine, address_of(machine), version, cgroups.version())
    config = config.replace("kind: ClusterConfiguration\n", f"kind: ClusterConfiguration\nencryptionAlgorithm: {algorithm}\n")
    write(CONFIG, config + (documents.alone("plain") if layout == "plain" else documents.kubestrap(layout)), machine)
    write(cni.FILE, cni.conflist("10.244.0.0/24"), machine)


def measured(*command: str, machine: str = NODE) -> dict[str, float]:
    """When a command in the machine began (by its monotonic clock), wall seconds and peak memory in KiB."""
    began, seconds, peak, code = in_machine("python3", "-c", MEASURE, *command, machine=machine).split()
    if code != "0":
        raise SystemExit(f"error: {' '.join(command)} ended with {code}\n" + in_machine("tail", "-n", "20", "/var/log/bench.err", machine=machine))
    return {"began": float(began), "seconds": float(seconds), "rss": float(peak)}


def components() -> Path:
    out = subprocess.run([str(ROOT / "lab/components"), versions.DEFAULT_KUBERNETES], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(out.strip().splitlines()[-1])
