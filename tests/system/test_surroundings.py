"""`kubestrap init` on machines that bring less along than the lab's usual ones."""

import pytest
from kubelab import paths
from registry import serving
from testbed import VERSION

PACKAGED = "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
OWN = "/etc/systemd/system/kubelet.service.d/10-kubestrap.conf"


@pytest.fixture
def bare(lab):
    machine = lab.machine("n1")
    machine.give_pod_network()
    return machine


# ---- the package kubelet without the package kubeadm


def test_a_kubelet_without_kubeadms_drop_in_gets_one_and_becomes_ready(bare):
    bare.sh('rm "$1"; systemctl daemon-reload', PACKAGED)
    assert "/var/lib/kubelet/config.yaml" not in bare.run("systemctl", "cat", "kubelet")
    first = bare.init()
    assert first.code == 0, str(first)
    assert f"[kubelet-start] created file {OWN}" in first.err
    assert OWN in bare.read("/var/lib/kubestrap/journal")
    assert "--config=/var/lib/kubelet/config.yaml" in bare.sh("tr '\\0' ' ' </proc/$(systemctl show kubelet -p MainPID --value)/cmdline")
    assert bare.run("systemctl", "show", "kubelet", "-p", "NeedDaemonReload", "--value").strip() == "no"
    bare.wait_nodes_ready()

    again = bare.init("--exit-code")  # 4 if there were anything left to change
    assert again.code == 0, str(again)
    bare.run("test", "-e", OWN)


def test_a_kubelet_with_kubeadms_drop_in_gets_no_other(bare):
    result = bare.init("--skip-phases", "wait-control-plane,upload-config,mark-control-plane,bootstrap-token,kubelet-finalize,addon")
    assert result.code == 0, str(result)
    bare.run("test", "-e", "/var/lib/kubelet/config.yaml")
    assert bare.try_("test", "-e", OWN).code == 1


# ---- images that have to come from a registry

ARCHIVES = paths.cache("images", VERSION)
MIRRORS = """
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'
"""
HOSTS = """server = "https://registry.k8s.io"
[host."http://127.0.0.1:5000"]
  capabilities = ["pull", "resolve"]
"""


@pytest.fixture
def without_images(lab):
    machine = lab.machine("n1", images=False)
    machine.give_pod_network()
    assert machine.run("ctr", "-n", "k8s.io", "images", "ls", "-q") == ""
    return machine


@pytest.fixture
def registry(without_images):
    """A registry at the machine's own 127.0.0.1:5000, which its runtime asks in registry.k8s.io's place."""
    with serving(without_images, 5000, ARCHIVES):
        without_images.write("/etc/containerd/certs.d/registry.k8s.io/hosts.toml", HOSTS)
        without_images.sh("cat >>/etc/containerd/config.toml; systemctl restart containerd", input=MIRRORS)
        yield


def test_init_pulls_what_is_missing_from_a_registry(without_images, registry):
    result = without_images.init()
    assert result.code == 0, str(result)
    pulled = [line for line in result.err.splitlines() if "image registry.k8s.io/" in line and line.startswith("[preflight]")]
    wanted = without_images.run("kubestrap", "config", "images", "list", "--kubernetes-version", f"v{VERSION}").split()
    assert [image for image in wanted if not any(image in line for line in pulled)] == [], str(result)
    without_images.wait_ready()
    again = without_images.init("--exit-code")
    assert again.code == 0, str(again)


def test_all_images_are_pulled_beforehand_through_the_runtime_that_is_there(without_images, registry):
    wanted = without_images.run("kubestrap", "config", "images", "list", "--kubernetes-version", f"v{VERSION}")
    pulled = without_images.run("kubestrap", "config", "images", "pull", "--kubernetes-version", f"v{VERSION}")
    assert pulled == wanted
    there = without_images.run("ctr", "-n", "k8s.io", "images", "ls", "-q").split()
    assert [image for image in wanted.split() if image not in there] == []
    without_images.sh("mkdir -p /run/crio; ln -s /run/containerd/containerd.sock /run/crio/crio.sock")
    several = without_images.try_("kubestrap", "config", "images", "pull")
    assert several.code == 2, str(several)
    assert "this machine has several container runtimes" in several.err, str(several)
    named = without_images.try_("kubestrap", "config", "images", "pull", "--cri-socket", "unix:///run/crio/crio.sock")
    assert named.code == 0, str(named)


@pytest.mark.long
def test_a_registry_that_swallows_packets_is_given_up_in_the_runtimes_words(without_images):
    gateway = without_images.address.rsplit(".", 1)[0] + ".1"
    without_images.sh('echo "$1 registry.k8s.io" >>/etc/hosts; iptables -A OUTPUT -d "$1" -p tcp --dport 443 -j DROP', gateway)
    result = without_images.init()
    assert result.code == 1, str(result)
    assert "the runtime pulls it (" in result.err  # signs of life meanwhile
    error = result.err[result.err.index("error: "):]
    assert "cannot pull registry.k8s.io/" in error, error
    assert f"{gateway}:443: i/o timeout" in error, error
    assert "try: " in error, error
