"""The configuration that a control plane of the lab is initialised with: kubeadm's v1beta4 documents.

Everything in it that a machine of one's own would not need says why it is there.
"""

from __future__ import annotations

NODE = """\
nodeRegistration:
  name: {name}
  criSocket: unix:///run/containerd/containerd.sock
  imagePullPolicy: IfNotPresent
{ignored}  kubeletExtraArgs:
  - name: node-ip
    value: {address}
"""

INIT = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: {address}
  bindPort: 6443
{node}---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
# given, since there is no internet to look it up in
kubernetesVersion: v{version}
clusterName: kubernetes
{endpoint}networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
{cgroup_v1}# the host's swap, if it has any, is no business of a machine's
failSwapOn: false
# a root without CAP_SYS_RESOURCE cannot lower its score
oomScoreAdj: 0
# there is no registry to get a removed image back from
imageGCHighThresholdPercent: 100
# all machines see the whole disk and memory of the host
evictionHard:
  memory.available: 50Mi
  nodefs.available: 200Mi
  nodefs.inodesFree: 1%
  imagefs.available: 200Mi
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
# the connection table's size cannot be changed from inside a network namespace
conntrack:
  maxPerCore: 0
oomScoreAdj: 0
"""

IGNORED = """\
  # the check refuses hosts with cgroup v1
  ignorePreflightErrors:
  - SystemVerification
"""


KUBESTRAP = """\
---
apiVersion: kubestrap.io/v1alpha1
kind: KubestrapConfiguration
layout: {layout}
endpoint:
  mode: local
"""

JOIN = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
{node}discovery:
  bootstrapToken:
    apiServerEndpoint: {server}
    token: {token}
    caCertHashes: [{pin}]
{control_plane}"""

CONTROL_PLANE = """\
controlPlane:
  localAPIEndpoint:
    advertiseAddress: {address}
  certificateKey: {key}
"""


def _node(name: str, address: str, cgroup_version: int) -> str:
    return NODE.format(name=name, address=address, ignored=IGNORED if cgroup_version == 1 else "")


def join(name: str, address: str, server: str, token: str, pin: str, key: str | None, cgroup_version: int) -> str:
    """The document for `join --config` on this machine; with a key of uploaded certificates as a control plane."""
    return JOIN.format(
        node=_node(name, address, cgroup_version),
        server=server,
        token=token,
        pin=pin,
        control_plane=CONTROL_PLANE.format(address=address, key=key) if key else "",
    )


def init(name: str, address: str, version: str, cgroup_version: int, endpoint: str | None = None) -> str:
    """The documents for `init --config` on this machine; `endpoint` is where further control planes are reached, too."""
    return INIT.format(
        address=address,
        node=_node(name, address, cgroup_version),
        version=version,
        endpoint=f"controlPlaneEndpoint: {endpoint}\n" if endpoint else "",
        cgroup_v1="failCgroupV1: false\n" if cgroup_version == 1 else "",
    )


def kubestrap(layout: str) -> str:
    """The document for what kubeadm has no field for."""
    return KUBESTRAP.format(layout=layout)


def alone(layout: str) -> str:
    """The same, which says nothing but the layout."""
    return f"---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nlayout: {layout}\n"


def with_certificate_key(documents: str, key: str) -> str:
    """The documents of `init`, saying also with what the uploaded certificates are encrypted."""
    return documents.replace("kind: InitConfiguration\n", f"kind: InitConfiguration\ncertificateKey: {key}\n", 1)
