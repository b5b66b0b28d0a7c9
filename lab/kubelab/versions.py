"""Every version the lab uses, in one place. Checksums: go.sum has them for Go, apt's signatures for Debian."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kubernetes:
    """One Kubernetes release and what upstream ships with it (kubeadm: constants.go, `SupportedEtcdVersion`, ...)."""

    version: str  # "1.37.2"
    etcd: str  # Go module version; the image tag adds a build number
    etcd_image: str
    coredns: str
    pause: str = "3.10.2"

    @property
    def minor(self) -> str:
        return self.version.split(".")[1]


KUBERNETES = {
    row.version: row
    for row in (
        Kubernetes("1.37.2", etcd="v3.7.0", etcd_image="3.7.0-0", coredns="v1.14.6"),
        Kubernetes("1.36.3", etcd="v3.6.8", etcd_image="3.6.8-0", coredns="v1.14.2"),
    )
}
DEFAULT_KUBERNETES = "1.37.2"

# Tools that do not follow a Kubernetes version.
CFSSL = "v1.6.5"

# The oldest Go that the go.mod files in lab/modules/ allow; a host without it gets Debian's package of this name.
GO = (1, 26)

# The machines' system. trixie's systemd 257 is the last one in Debian that still boots on cgroup v1;
# its containerd is too old for the kubelet of 1.37, so three packages come from the suite after it.
MACHINE_SUITE = "trixie"
RUNTIME_SUITE = "forky"
RUNTIME_PACKAGES = {"containerd": "2.1", "runc": "1.3", "containernetworking-plugins": "1.9"}

TEST_IMAGE = "lab.local/test:1"


def kubernetes(version: str) -> Kubernetes:
    """The table's row for "1.37.2", "v1.37.2" or the minor "1.37"."""
    wanted = version.removeprefix("v")
    if wanted in KUBERNETES:
        return KUBERNETES[wanted]
    for row in KUBERNETES.values():
        if row.version.rsplit(".", 1)[0] == wanted:
            return row
    raise ValueError(f"no Kubernetes {version} in the lab; it has {', '.join(KUBERNETES)} (lab/kubelab/versions.py)")
