"""What carries packets in clusters that `kubestrap cluster apply` makes: a pod network that comes with the bundle, and kube-proxy in each of its modes."""

import subprocess
from pathlib import Path

import pytest
import yaml

from kubelab import addons
from kubelab.progress import Silent
from operating import Operator, counting
from test_addons import IMAGES, addons_of
from test_bundle import BUNDLE, KEY, PARTS, lay_out, make_bare, pack
from test_cluster import settings
from test_reset import names

pytestmark = pytest.mark.long


def reaches(first, one: str, other: str) -> None:
    """A service leads from a pod on one node to that on another."""
    first.until("a service leads to the other node", lambda: f"pod={other}" in first.in_pod(one, "testtool", "get", f"http://{other}.default.svc.cluster.local/"), 120)


def newer(manifest: str) -> str:
    """The same but for the pods of its DaemonSet, which are made anew by it."""
    told = list(yaml.safe_load_all(manifest))
    (daemon_set,) = [each for each in told if each["kind"] == "DaemonSet"]
    daemon_set["spec"]["template"]["metadata"].setdefault("annotations", {})["example.org/manifest"] = "newer"
    return yaml.safe_dump_all(told)


def test_a_pod_network_comes_with_the_bundle_to_machines_without_a_way_out(lab, tmp_path):
    """A counter on the bridge, which first shows that it counts, stays at nothing."""
    machines = n1, w1 = [lab.machine(name, images=False) for name in ("n1", "w1")]
    operator = Operator(lab, tmp_path)
    lay_out(n1)
    for addon in ("flannel", "flannel-cni"):
        for archive in addons.images(addon, Silent()):
            n1.run("cp", f"/opt/images/{archive.parent.name}/{archive.name}", f"{PARTS}/images")
    (manifest,) = addons.manifest("flannel", "flannel", Silent())
    n1.write(f"{PARTS}/manifests/flannel.yaml", manifest.read_text())
    pack(n1)
    operator.fetch(n1, BUNDLE, "lab.bundle")
    n1.write(f"{PARTS}/manifests/flannel.yaml", newer(manifest.read_text()))
    pack(n1)
    operator.fetch(n1, BUNDLE, "newer.bundle")
    w1.take(f"{KEY}.pub", n1)
    for machine in machines:
        make_bare(machine)
    switch, counted = counting(lab, n1)
    for machine in machines:
        machine.run("ip", "route", "del", "default")
        # Programs in the host's network, flannel's among them, find the API server by its service's address.
        machine.run("ip", "route", "add", "10.96.0.0/12", "dev", "eth0")
    operator.describe(machines, bundle="lab.bundle", offline=True)
    own = f"{addons.REGISTRY}/flannel-io/flannel-cni-plugin:lab"
    values = {"imageRegistry": addons.REGISTRY, "images": {"ghcr.io/flannel-io/flannel-cni-plugin": own}, "interfaces": ["eth0"]}
    settings(operator, "KubestrapConfiguration", addons=[{"name": "flannel", "values": values}])
    operator.must("apply", "--yes", timeout=1500)
    assert names(n1, "nodes") == {"n1", "w1"}
    n1.wait_ready()  # by this pod network alone
    for node in ("n1", "w1"):
        assert n1.start_pod(f"on-{node}", node).startswith("10.244.")
    reaches(n1, "on-n1", "on-w1")
    reaches(n1, "on-w1", "on-n1")
    assert "flannel" in w1.run("ip", "-o", "link")
    assert addons_of(n1, "plan", "--exit-code")["changed"] is False
    assert operator.steps() == {}
    # A newer manifest in the bundle comes to a cluster that stands.
    told = list(yaml.safe_load_all(operator.file.read_text()))
    told[0]["bundle"] = "newer.bundle"
    operator.file.write_text(yaml.safe_dump_all(told, sort_keys=False))
    brought = ["copy the bundle", "bundle load"]
    assert operator.steps() == {"n1": [*brought, "addons apply"], "w1": brought}
    operator.must("apply", "--yes", timeout=1500)
    pods = n1.get("daemonsets", "-n", "kube-flannel")["items"]
    assert [each["spec"]["template"]["metadata"]["annotations"]["example.org/manifest"] for each in pods] == ["newer"]
    assert operator.steps() == {}
    n1.wait_ready()
    reaches(n1, "on-n1", "on-w1")
    operator.must("destroy", "--yes")
    assert switch.packets() == counted


def kernel_has(setting: str) -> bool:
    """Whether the kernel was built with it, as it says itself; one that does not say is believed to."""
    said = subprocess.run(["zcat", "/proc/config.gz"], capture_output=True, text=True).stdout if Path("/proc/config.gz").exists() else ""
    return not said or any(f"{setting}={value}\n" in said for value in "ym")


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
def test_a_service_is_reached_with_kube_proxy_in_the_mode_of_the_file(lab, tmp_path, mode):
    if mode == "ipvs" and not kernel_has("CONFIG_IP_VS"):
        pytest.skip("this kernel has no IPVS (CONFIG_IP_VS)")
    machines = n1, w1 = [lab.machine("n1"), lab.machine("w1")]
    operator = Operator(lab, tmp_path)
    operator.describe(machines)
    settings(operator, "KubeProxyConfiguration", mode=mode)
    operator.must("apply", "--yes")
    lab.install_pod_network(n1)
    n1.wait_ready()
    for machine in machines:
        assert machine.run("curl", "-sS", "http://127.0.0.1:10249/proxyMode") == mode
        n1.start_pod(f"on-{machine.name}", machine.name)
    reaches(n1, "on-n1", "on-w1")
    reaches(n1, "on-w1", "on-n1")
    # From a node, too, and by a port of every node.
    address = n1.get("service", "on-w1")["spec"]["clusterIP"]
    assert "pod=on-w1" in n1.run("curl", "-sS", "--max-time", "5", f"http://{address}/")
    n1.kubectl("patch", "service", "on-w1", "-p", '{"spec": {"type": "NodePort"}}')
    port = n1.get("service", "on-w1")["spec"]["ports"][0]["nodePort"]
    for machine in machines:
        n1.until("a port of every node leads there", lambda: "pod=on-w1" in w1.run("curl", "-sS", "--max-time", "5", f"http://{machine.address}:{port}/"), 60)
    assert operator.steps() == {}
