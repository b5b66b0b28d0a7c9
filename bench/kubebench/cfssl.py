"""The PKI of a control plane beside cfssl's programs, and many certificates from a list. Needs no lab."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from .figure import Figure, say
from .machine import ROOT

CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.11}
nodeRegistration: {name: n1, criSocket: "unix:///run/containerd/containerd.sock"}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
encryptionAlgorithm: ECDSA-P256
"""
PIPELINE = """
for authority in ca front-proxy-ca etcd-ca; do cfssl gencert -initca $authority.json | cfssljson -bare $authority; done
sign() { authority=$1; shift; for name; do cfssl gencert -ca=$authority.pem -ca-key=$authority-key.pem -config=policy.json -profile=$name $name.json | cfssljson -bare $name; done; }
sign ca apiserver apiserver-kubelet-client
sign front-proxy-ca front-proxy-client
sign etcd-ca etcd-server etcd-peer etcd-healthcheck-client apiserver-etcd-client
"""
NODES = 5000


def figures(runs: int) -> list[Figure]:
    binary = ROOT / "build/release/kubestrap"
    tools = subprocess.run([ROOT / "lab/components", "tools"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip().splitlines()[-1]
    whole = Figure("PKI, ECDSA P-256, beside cfssl", "ms", 0.2, "three authorities and seven certificates: init phase certs all, and cfssl | cfssljson", against="cfssl")
    bulk = Figure(f"{NODES} node certificates from a list", "s", None, "certs gencert --list, ECDSA P-256", 1.5)
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            for folder in ("etc", "var/lib", "run/lock", "requests"):
                (root / folder).mkdir(parents=True)
            (root / "setup.yaml").write_text(CONFIG)
            at_home = lambda *words: [binary, "--rootfs", root, *words, "--config", "/setup.yaml"]  # noqa: E731
            subprocess.run(at_home("certs", "requests", "/work"), check=True, stdout=subprocess.DEVNULL)
            whole.values["kubestrap"].append(1000 * took(at_home("init", "phase", "certs", "all")))
            whole.values["cfssl"].append(1000 * took(["bash", "-euo", "pipefail", "-c", PIPELINE], cwd=root / "work", env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}))
            bulk.values["kubestrap"].append(took([binary, "certs", "gencert", "--list", listing(root), "--ca", root / "work/ca.pem", "--ca-key", root / "work/ca-key.pem"]))
    say("beside cfssl: done")
    return [whole, bulk]


def listing(root: Path) -> Path:
    file = root / "nodes.jsonl"
    request = lambda i: {"name": f"n{i}", "CN": f"system:node:n{i}", "names": [{"O": "system:nodes"}], "hosts": [f"n{i}", f"10.{i >> 8}.{i & 255}.1"], "key": {"algo": "ecdsa", "size": 256}}  # noqa: E731
    file.write_text("".join(json.dumps(request(i)) + "\n" for i in range(NODES)))
    return file


def took(command: list, **more) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    return time.perf_counter() - begun
