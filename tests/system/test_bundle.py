"""`kubestrap bundle` on machines that have neither a network to fetch from nor anything of Kubernetes: all of it comes from one file."""

import pytest

from kubelab import cni
from test_join import join, join_words
from test_reset import is_as_before
from testbed import PATIENCE

PARTS, BUNDLE, KEY = "/root/parts", "/root/lab.bundle", "/root/signing.key"
PROGRAMS = ("kubelet", "kubectl", "containerd", "containerd-shim-runc-v2", "ctr", "runc")
PLUGINS = ("bridge", "host-local", "loopback", "portmap", "ptp")
UNITS = ("containerd.service", "kubelet.service")
VERSION = "1.37.2"

# A package, to be told from those of the distribution.
PACKAGE = """
mkdir -p /root/hello/DEBIAN /root/hello/usr/share/hello-lab
printf 'Package: hello-lab\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <lab@lab.local>\\nDescription: a package for a test\\n' "$2" >/root/hello/DEBIAN/control
echo "hello $2" >/root/hello/usr/share/hello-lab/text
dpkg-deb --build --root-owner-group /root/hello "$1/packages/hello-lab_$2_all.deb"
"""


def lay_out(machine, images: bool = True, package: str = "1.0-1") -> None:
    """The parts of a bundle, of what the machine has itself."""
    machine.sh(f"mkdir -p {PARTS}/bin {PARTS}/cni {PARTS}/units {PARTS}/packages {PARTS}/images {PARTS}/manifests")
    machine.sh(f"cd /usr/bin && cp {' '.join(PROGRAMS)} {PARTS}/bin && cd /opt/cni/bin && cp {' '.join(PLUGINS)} {PARTS}/cni")
    machine.sh(f"cd /usr/lib/systemd/system && cp {' '.join(UNITS)} {PARTS}/units")
    if images:
        machine.sh(f"cp /opt/images/{VERSION}/*.tar {PARTS}/images")
    machine.sh(PACKAGE, PARTS, package)
    machine.write(f"{PARTS}/manifests/notes.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes, namespace: default}\n")


def pack(machine) -> None:
    """A signed bundle of what is laid out, by the same key each time."""
    if machine.try_("test", "-e", KEY).code:
        machine.run("kubestrap", "bundle", "keygen", KEY)
    machine.run("kubestrap", "bundle", "create", BUNDLE, "--from", PARTS, "--kubernetes-version", f"v{VERSION}", "--sign-key", KEY, timeout=PATIENCE * 2)


def make_bundle(machine) -> None:
    lay_out(machine)
    pack(machine)


def strip(machine) -> None:
    """Takes away what the bundle has, as far as the machine has it."""
    machine.sh("systemctl stop kubelet containerd; systemctl disable kubelet containerd 2>/dev/null || true")
    machine.sh(f"cd /usr/bin && rm -f {' '.join(PROGRAMS)} && cd /opt/cni/bin && rm -f {' '.join(PLUGINS)}")
    machine.sh(f"cd /usr/lib/systemd/system && rm -f {' '.join(UNITS)}; systemctl daemon-reload; rm -rf {PARTS} /root/hello")
    machine.run("mkdir", "-p", "/etc/kubestrap")
    machine.sh(f"cp {KEY}.pub /etc/kubestrap/trusted-keys.pem")
    machine.give_pod_network()


def make_bare(machine) -> None:
    """Of Kubernetes and kubestrap nothing is left, nor a pod network."""
    strip(machine)
    machine.run("rm", "-rf", BUNDLE, "/usr/bin/kubestrap", "/usr/lib/kubestrap", cni.FILE)


def has(machine, *paths: str) -> set[str]:
    return {path for path in paths if machine.try_("test", "-e", path).code == 0}


BROUGHT = ("/usr/bin/kubelet", "/usr/bin/containerd", "/opt/cni/bin/bridge", "/etc/systemd/system/containerd.service", "/usr/share/hello-lab/text",
           "/var/lib/kubestrap/manifests/notes.yaml")


@pytest.fixture(scope="module")
def stripped(lab):
    machine = lab.machine("n1", images=False)
    make_bundle(machine)
    strip(machine)
    return machine


def test_a_bundle_that_is_damaged_or_not_signed_is_refused_and_nothing_is_written(stripped):
    before = stripped.digests("/usr/bin", "/etc/systemd", "/var/lib/kubestrap")
    stripped.sh(f"head -c 200000 {BUNDLE} >/root/cut.bundle; cp {BUNDLE} /root/spoilt.bundle; printf x | dd of=/root/spoilt.bundle bs=1 seek=150000000 conv=notrunc status=none")
    for bundle in ("/root/cut.bundle", "/root/spoilt.bundle"):
        done = stripped.init("--bundle", bundle, "--offline")
        assert done.code not in (0, 2) and done.err, str(done)
    stripped.run("kubestrap", "bundle", "keygen", "/root/other.key")
    done = stripped.init("--bundle", BUNDLE, "--bundle-key", "/root/other.key.pub")
    assert done.code == 3 and "signed" in done.err, str(done)
    stripped.sh("rm -f /root/cut.bundle /root/spoilt.bundle")
    assert stripped.digests("/usr/bin", "/etc/systemd", "/var/lib/kubestrap") == before


def test_a_machine_with_nothing_becomes_a_cluster_from_one_file_and_is_as_before_when_it_is_reset(stripped):
    planned = stripped.init("--bundle", BUNDLE, "--offline", "--dry-run")
    assert planned.code == 0 and not has(stripped, *BROUGHT), str(planned)
    made = stripped.init("--bundle", BUNDLE, "--offline")
    assert made.code == 0, str(made)
    assert has(stripped, *BROUGHT) == set(BROUGHT)
    assert not has(stripped, "/var/lib/kubestrap/bundle")
    stripped.wait_ready()
    stripped.kubectl("apply", "-f", "/var/lib/kubestrap/manifests/")
    again = stripped.init("--bundle", BUNDLE, "--offline", "-o", "json", "--exit-code")
    assert (again.code, again.json["changed"]) == (0, False), str(again)
    gone = stripped.try_("kubestrap", "reset", "--force", timeout=300)
    assert gone.code == 0, str(gone)
    assert not has(stripped, *BROUGHT)
    is_as_before(stripped)


@pytest.mark.long
def test_a_load_that_is_killed_anywhere_goes_on_and_is_undone(stripped):
    kills = 0
    for nth in range(1, 200, 3):
        said = stripped.stop("bundle", "load", BUNDLE, nth=nth)
        if "ended 0" in said:
            break
        assert "ended 137" in said, said
        kills += 1
        if kills % 3 == 0:
            stripped.run("kubestrap", "reset", "--force", timeout=300)
            assert not has(stripped, *BROUGHT)
            is_as_before(stripped)
    print(f"{kills} kills")
    assert kills >= 3
    loaded = stripped.try_("kubestrap", "bundle", "load", BUNDLE, "--exit-code")
    assert loaded.code == 0, str(loaded)
    assert has(stripped, *BROUGHT) == set(BROUGHT)
    stripped.run("kubestrap", "reset", "--force", timeout=300)
    assert not has(stripped, *BROUGHT)
    is_as_before(stripped)


@pytest.mark.long
def test_what_would_have_to_be_fetched_is_told_all_at_once(stripped):
    stripped.run("kubestrap", "bundle", "load", BUNDLE)
    stripped.run("ctr", "-n", "k8s.io", "images", "rm", "registry.k8s.io/etcd:3.7.0-0", f"registry.k8s.io/kube-apiserver:v{VERSION}")
    done = stripped.init("--offline")
    assert done.code == 3 and "etcd:3.7.0-0" in done.err and "kube-apiserver" in done.err, str(done)
    stripped.run("kubestrap", "reset", "--force", timeout=300)


@pytest.mark.long
def test_a_worker_with_nothing_joins_by_the_same_file(lab, stripped):
    worker = lab.machine("w1", images=False)
    make_bundle(worker)
    strip(worker)
    made = stripped.init("--bundle", BUNDLE, "--offline")
    assert made.code == 0, str(made)
    joined = join(worker, join_words(stripped), "--bundle", BUNDLE, "--offline", timeout=300)
    assert joined.code == 0, str(joined)
    lab.install_pod_network(stripped)
    stripped.wait_ready()
    worker.run("kubestrap", "reset", "--force", timeout=300)
    assert not has(worker, *BROUGHT)
    is_as_before(worker, but=("/etc/cni/net.d/10-lab.conflist",))
