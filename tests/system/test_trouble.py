"""What disk, cluster and operator can do to a run: it says so and ends, the next one comes to the same end, and reset to a bare machine."""

import contextlib

import pytest
from test_reset import is_as_before, join_words, names, reset
from testbed import CONFIG, PATIENCE

pytestmark = pytest.mark.long


@pytest.fixture
def bare(lab):
    machine = lab.machine("n1")
    machine.give_pod_network()
    machine.write(CONFIG, machine.config())
    return machine


@pytest.fixture
def worker(lab):
    return lab.machine("w1")


def succeeds(machine, *words: str) -> None:
    done = machine.try_("kubestrap", *words)
    assert done.code == 0, str(done)


def fails(machine, text: str, *words: str) -> None:
    failed = machine.try_("kubestrap", *words)
    assert failed.code == 1 and text.lower() in failed.err.lower(), str(failed)  # it may be the kubelet that says so
    assert "try: " in failed.err, str(failed)


INIT = ("init", "--config", CONFIG)
RESET = ("reset", "--force")


# ---- the operator


@pytest.mark.parametrize("signal", ["INT", "TERM"])
def test_a_signal_ends_a_run_and_the_next_one_goes_on(bare, worker, signal):
    def is_interrupted(machine, *words, text, nth=1):
        said = machine.stop(*words, text=text, nth=nth, signal=signal)
        assert said.endswith("ended 130\n") and "interrupted" in said, said
        succeeds(machine, *words)

    is_interrupted(bare, *INIT, text="service kubelet")
    is_interrupted(worker, *join_words(worker, bare), text="service kubelet")
    bare.until("it has registered", lambda: names(bare, "nodes") == {"n1", "w1"})
    for machine in (worker, bare):
        is_interrupted(machine, *RESET, text="[cleanup-node]", nth=2)
        is_as_before(machine)


# ---- the disk


@contextlib.contextmanager
def full(machine, folder: str):
    """Another file system over a folder, with what was in it and no room for more."""
    machine.sh("""
        cp -a "$1" /root/copy; mount -t tmpfs -o size=$(($(du -sk --apparent-size "$1" | cut -f 1) + 64))k full "$1"
        cp -a /root/copy/. "$1"; dd if=/dev/zero of="$1/.filling" bs=1k 2>/dev/null; df "$1" | grep -q 100%
    """, folder)
    yield
    machine.sh('umount "$1"; rm -r /root/copy', folder)


@contextlib.contextmanager
def read_only(machine, folder: str):
    machine.sh('mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"', folder)
    yield
    machine.run("umount", folder)


def test_a_disk_that_takes_no_more_ends_a_run_and_with_room_again_the_next_one_goes_on(bare, worker):
    no_room, no_writing = "No space left on device", "Read-only file system"
    record, files = "/var/lib/kubestrap", "/etc/kubernetes"
    for machine in (bare, worker):
        machine.run("mkdir", record)
    with full(bare, record):
        fails(bare, no_room, *INIT)
    assert f"{files}/pki" not in bare.listing("/etc")  # what cannot be recorded is not made
    succeeds(bare, "init", "phase", "certs", "ca", "--config", CONFIG)
    with full(bare, f"{files}/pki"):
        fails(bare, no_room, *INIT)
    with read_only(bare, files):
        fails(bare, no_writing, *INIT)
    succeeds(bare, *INIT)
    bare.wait_nodes_ready()

    words = join_words(worker, bare)
    with full(worker, record):
        fails(worker, no_room, *words)
    said = worker.stop(*words, text="[kubelet-start]")
    assert "ended 137" in said, said
    with read_only(worker, files):
        fails(worker, no_writing, *words)
    succeeds(worker, *words)
    bare.until("it has registered", lambda: names(bare, "nodes") == {"n1", "w1"})

    for machine in (worker, bare):
        with read_only(machine, files):
            fails(machine, no_writing, *RESET)
        succeeds(machine, *RESET)
        is_as_before(machine)


# ---- the cluster

WEBHOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: nobody}
webhooks:
- name: nobody.example.com
  clientConfig: {url: "https://127.0.0.1:1/"}
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 1
  rules:
  - {apiGroups: ["", certificates.k8s.io], apiVersions: ["*"], operations: ["*"], resources: [configmaps, nodes, certificatesigningrequests]}
"""


KUBECTL = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")


@contextlib.contextmanager
def failing(machine):
    """The API server answers 500 to what writes."""

    def takes_none():
        return machine.try_(*KUBECTL, "create", "configmap", "probe", "--dry-run=server").code

    machine.run(*KUBECTL, "apply", "-f", "-", input=WEBHOOK)
    machine.until("it refuses", takes_none)
    yield
    machine.run(*KUBECTL, "delete", "validatingwebhookconfiguration", "nobody")
    machine.until("it accepts", lambda: not takes_none())


@contextlib.contextmanager
def hanging(machine, component: str = "kube-apiserver"):
    """It is there, and takes connections, and says nothing."""
    machine.run("pkill", "-STOP", "-x", component)
    yield
    machine.try_("pkill", "-CONT", "-x", component)


def goes_with_a_warning(machine, text: str, *words: str) -> None:
    """What cannot be told to the cluster keeps no machine from becoming bare."""
    done = reset(machine, *words)
    assert done.code == 0 and "warning" in done.err and text in done.err, str(done)
    is_as_before(machine)


def test_an_api_server_that_hangs_or_fails_ends_a_run_and_when_it_answers_the_next_one_goes_on(bare, worker):
    patience = ("\nlocalAPIEndpoint:", "\ntimeouts: {kubernetesAPICall: 5s}\nlocalAPIEndpoint:")
    bare.write(CONFIG, bare.config(patience))
    said = bare.stop(*INIT, text="ready: the API server answers", signal="STOP", process="kube-apiserver")
    assert "no answer in time" in said and "try: " in said and said.endswith("ended 1\n"), said
    bare.run("pkill", "-CONT", "-x", "kube-apiserver")
    succeeds(bare, *INIT)
    bare.run(*KUBECTL, "delete", "configmap", "--namespace", "kube-system", "kubeadm-config")
    with failing(bare):
        fails(bare, "500", *INIT)
    succeeds(bare, *INIT)
    succeeds(bare, *INIT, "--exit-code")

    for trouble in (failing, hanging):
        words = join_words(worker, bare)
        with trouble(bare):
            joining = worker.popen("kubestrap", *words)
            bare.run("sleep", "5")
            assert joining.poll() is None, joining.communicate()  # it waits: kubelet and API server may yet come to terms
        _, said = joining.communicate(timeout=PATIENCE)
        assert joining.returncode == 0, said
        bare.until("it has registered", lambda: names(bare, "nodes") == {"n1", "w1"})
        worker.write("/root/admin.conf", bare.read("/etc/kubernetes/admin.conf"), "600")
        with trouble(bare):
            goes_with_a_warning(worker, "500" if trouble is failing else "in time", "--kubeconfig", "/root/admin.conf")
        bare.try_(*KUBECTL, "delete", "node", "w1")
    with hanging(bare):
        goes_with_a_warning(bare, "in time")
