"""A root folder in which kubestrap and kubeadm see a machine of its own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.11}
nodeRegistration: {name: n1, criSocket: "unix:///run/containerd/containerd.sock"}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controlPlaneEndpoint: api.example.org:6443
apiServer: {certSANs: [203.0.113.9]}
encryptionAlgorithm: ALGORITHM
"""
# kubeadm's, with whom it is compared.
PLAIN = "---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nlayout: plain\n"


@dataclass
class Machine:
    """A root folder in which kubestrap sees a machine of its own."""

    root: Path
    binary: Path

    def try_(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.binary, "--rootfs", self.root, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str) -> str:
        done = self.try_(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}\n{done.stdout}"
        return done.stdout

    def file(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def configure(self, algorithm: str = "ECDSA-P256") -> None:
        self.file("setup.yaml").write_text(CONFIG.replace("ALGORITHM", algorithm) + PLAIN)

    def phases(self, *more: str) -> dict:
        """What init would do about certificates and kubeconfigs."""
        return {phase: self.try_("init", "phase", phase, "all", "--config", "/setup.yaml", *more) for phase in ("certs", "kubeconfig")}
