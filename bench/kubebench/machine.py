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

LAB = "bench"
NODE = "n1"
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


def in_machine(*command: str, **more) -> str:
    return lab("exec", NODE, "--", *command, **more)


def write(path: str, content: str) -> None:
    in_machine("sh", "-c", f"mkdir -p {os.path.dirname(path)} && cat > {path}", input=content)


def fresh_machine(algorithm: str) -> None:
    """A bare machine with the configuration, and the pod network's file already in place, so that Ready needs nobody else's help."""
    lab("reset-machine", NODE)
    address = json.loads(lab("status", "-o", "json"))["machines"][0]["address"]
    config = documents.init(NODE, address, versions.DEFAULT_KUBERNETES, cgroups.version())
    config = config.replace("kind: ClusterConfiguration\n", f"kind: ClusterConfiguration\nencryptionAlgorithm: {algorithm}\n")
    write(CONFIG, config)
    write(cni.FILE, cni.conflist("10.244.0.0/24"))


def measured(*command: str) -> dict[str, float]:
    """When a command in the machine began (by its monotonic clock), wall seconds and peak memory in KiB."""
    began, seconds, peak, code = in_machine("python3", "-c", MEASURE, *command).split()
    if code != "0":
        raise SystemExit(f"error: {' '.join(command)} ended with {code}\n" + in_machine("tail", "-n", "20", "/var/log/bench.err"))
    return {"began": float(began), "seconds": float(seconds), "rss": float(peak)}


def components() -> Path:
    out = subprocess.run([str(ROOT / "lab/components"), versions.DEFAULT_KUBERNETES], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(out.strip().splitlines()[-1])
