"""Upgrades of the plain layout that meet trouble in the worst moment: what is new does not begin, hangs or has no room; kubestrap is killed, power goes.

Each ends with the old or the new version serving and with every write that was acknowledged, and the same command comes to the end without the trouble.
"""

import json
import time

import pytest
import yaml

from test_faults import Writer
from test_join import IGNORED
from test_pivot import finds_nothing_wrong
from test_pivot_recovery import WEBHOOK
from test_roll_broken import trouble
from test_upgrade import COMPONENTS, FOLDERS, MANIFESTS, expected, images, older_node, stored_version
from testbed import OLDER, VERSION

pytestmark = pytest.mark.long

UPGRADE = ("upgrade", "apply", f"v{VERSION}", "--yes", IGNORED)
KEPT = "/var/lib/kubestrap/upgrade"
API_SERVER = "kube-apiserver"
MOMENTS = [1, 2, 3, 4, 6, 9]  # seconds; it takes ten


def begin(machine, *changes: tuple[str, str]) -> None:
    """A control plane of the older version, with a pod network from the beginning."""
    machine.give_pod_network()
    made = machine.init(config=machine.config(*changes, version=OLDER))
    assert made.code == 0, str(made)
    machine.wait_nodes_ready()


@pytest.fixture(scope="module")
def node(lab):
    machine = older_node(lab)
    begin(machine)
    return machine


@pytest.fixture
def fresh(lab):
    machine = older_node(lab)
    begin(machine)
    return machine


def upgrade(machine, *flags: str):
    began = time.monotonic()
    done = machine.try_("kubestrap", *UPGRADE, *flags, timeout=900)
    print(f"upgrade apply: exit code {done.code} after {time.monotonic() - began:.1f} s")
    return done


def serving(machine) -> str:
    """The version of the API server that answers, and reaches etcd."""
    ready = machine.try_("curl", "-sk", "-m", "5", "https://127.0.0.1:6443/readyz").out == "ok"
    return ready and json.loads(machine.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]


def works(machine, version: str) -> None:
    """It serves by that version, takes what kubectl writes, and has its members of etcd and its node."""
    machine.until(f"v{version} serves", lambda: serving(machine) == f"v{version}")
    name = f"at-{time.monotonic_ns()}"
    machine.kubectl("create", "configmap", name)
    machine.get("configmap", name)
    machine.wait_nodes_ready()
    members = json.loads(machine.run("kubestrap", "etcd", "status", "-o", "json"))["members"]
    assert [(each["name"], each["role"], each["health"]) for each in members] == [(machine.name, "leader", "healthy")], members


def goes_through(machine) -> None:
    done = upgrade(machine)
    assert done.code == 0, str(done)
    works(machine, VERSION)
    machine.until("every pod of the control plane is told of", lambda: images(machine) == expected(VERSION))
    assert stored_version(machine) == f"v{VERSION}"
    assert set(machine.run("ls", KEPT).split()) <= {"etcd.db"}
    finds_nothing_wrong(machine)


# ---- what is new does not begin


def command(machine, component: str) -> list[str]:
    return yaml.safe_load(machine.read(f"{MANIFESTS}/{component}.yaml"))["spec"]["containers"][0]["command"]


def with_flag(machine, component: str, flag: str, value: str) -> dict:
    """Its container, with that flag instead of the one that it has."""
    return {"command": [each for each in command(machine, component) if not each.startswith(f"--{flag}=")] + [f"--{flag}={value}"]}


def patch(machine, component: str, container: dict) -> str:
    folder = f"/root/patches-{time.monotonic_ns()}"
    machine.write(f"{folder}/{component}+strategic.json", json.dumps({"spec": {"containers": [{"name": component} | container]}}))
    return folder


def goes_back(machine, *flags: str, says: str = "") -> None:
    """A run that fails: the version before serves again, but for an etcd that was well."""
    writer = Writer(machine, 6443)
    failed = upgrade(machine, *flags)
    assert failed.code == 1 and says in failed.err and "what this phase had begun was taken back" in failed.err, str(failed)
    works(machine, OLDER)
    writer.lost_nothing()
    assert stored_version(machine) == f"v{OLDER}"
    for component in COMPONENTS:
        text = machine.read(f"{MANIFESTS}/{component}.yaml")
        assert component == "etcd" or f":{expected(OLDER)[component]}" in text, text
    assert set(machine.run("ls", KEPT).split()) <= {"etcd.db"}


# Those of etcd first: the first run in which etcd gets well leaves it at its new version.
FAULTS = [
    ("etcd", {"image": "registry.k8s.io/etcd:9.9.9-0"}, "cannot be had"),
    ("etcd", ("no-such-flag", "1"), "a flag that it does not know"),
    ("etcd", ("quota-backend-bytes", "much"), "etcd"),
    (API_SERVER, {"image": f"registry.k8s.io/{API_SERVER}:v9.9.9"}, "cannot be had"),
    (API_SERVER, ("no-such-flag", "1"), "a flag that it does not know"),
    (API_SERVER, ("event-ttl", "soon"), "a value that it does not accept"),
    (API_SERVER, ("service-account-issuer", ""), API_SERVER),
    (API_SERVER, ("etcd-servers", "https://127.0.0.1:9"), API_SERVER),
    ("kube-controller-manager", ("no-such-flag", "1"), "a flag that it does not know"),
    ("kube-scheduler", ("config", "/nowhere.yaml"), "kube-scheduler"),
]


@pytest.mark.parametrize(("component", "fault", "says"), FAULTS, ids=lambda value: "-".join(value) if isinstance(value, tuple) else None)
def test_what_does_not_begin_is_taken_back(node, component, fault, says):
    container = fault if isinstance(fault, dict) else with_flag(node, component, *fault)
    goes_back(node, "--patches", patch(node, component, container), says=says)


def test_a_webhook_that_nobody_answers_for_is_named_before_anything_is_touched(node):
    node.kubectl("apply", "-f", "-", input=json.dumps(WEBHOOK))
    before, writer = node.digests(*FOLDERS), Writer(node, 6443)
    refused = upgrade(node)
    assert refused.code == 3 and "FailClosedWebhooks" in refused.err and "default/nobody" in refused.err, str(refused)
    assert node.digests(*FOLDERS) == before
    works(node, OLDER)
    assert not writer.lost_nothing()["failed"]
    node.kubectl("delete", "validatingwebhookconfiguration", "policy")


OUTSIDE = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "outside"},
    "webhooks": [
        {
            "name": "outside.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        }
    ],
}


def test_a_webhook_that_refuses_what_an_upgrade_writes_leaves_a_control_plane_that_serves_and_without_it_the_upgrade_goes_on(node):
    """Nobody can see whether something is behind its address: it is a warning."""
    writer = Writer(node, 6443)
    node.kubectl("apply", "-f", "-", input=json.dumps(OUTSIDE))
    node.until("it refuses", lambda: node.try_("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "kube-system", "create", "configmap", "x", "--dry-run=server").code)
    failed = upgrade(node)
    assert failed.code == 1 and "FailClosedWebhooks" in failed.err and "outside.example.org" in failed.err, str(failed)
    works(node, VERSION)
    node.kubectl("delete", "validatingwebhookconfiguration", "outside")
    goes_through(node)
    writer.lost_nothing()


# ---- etcd hangs

IMPATIENT = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
timeouts: {controlPlaneComponentHealthCheck: 40s, upgradeManifests: 1m}
"""
# Every etcd of that image stands still so many seconds after it has listened.
HANGING = r"""
image=$1 seconds=$2 before=" $(pgrep -x etcd | tr '\n' ' ') "
while sleep 0.05; do
  grep -q "$image" /etc/kubernetes/manifests/etcd.yaml || continue
  for pid in $(pgrep -x etcd); do
    [[ "$before" != *" $pid "* ]] && ss -Hltnp "sport = :2379" | grep -q "pid=$pid," && sleep $seconds && kill -STOP $pid
  done
done
"""


def with_little_patience(machine) -> tuple[str, str]:
    machine.write("/root/impatient.yaml", IMPATIENT)
    return "--config", "/root/impatient.yaml"


def new_etcd() -> str:
    return f"etcd:{expected(VERSION)['etcd']}"


def comes_to_the_end(machine, writer: Writer) -> None:
    """After the trouble is over: something serves, whoever was acknowledged is heard, and the same command is through."""
    machine.until("it serves", lambda: serving(machine) in (f"v{OLDER}", f"v{VERSION}"), patience=300)
    print(f"{serving(machine)} serves")
    goes_through(machine)
    writer.lost_nothing()


@pytest.mark.parametrize("seconds", [0, 4])
def test_an_etcd_that_hangs_after_it_has_listened_leaves_one_that_serves(fresh, seconds):
    """At once, or when it had been well for a moment."""
    writer = Writer(fresh, 6443)
    with trouble(fresh, HANGING, new_etcd(), str(seconds)):
        failed = upgrade(fresh, *with_little_patience(fresh))
    fresh.try_("pkill", "-CONT", "-x", "etcd")
    assert failed.code == 1, str(failed)
    comes_to_the_end(fresh, writer)


# Ends kubestrap in the moment in which what etcd had stored has been copied aside, and the new etcd is about to begin.
KILL_BESIDE_THE_COPY = """
until [ -e /var/lib/kubestrap/upgrade/etcd/whole ]; do sleep 0.005; done
kill -9 $(pidof kubestrap)
"""


def test_what_was_written_after_a_run_that_was_killed_is_kept_by_one_that_goes_back(fresh):
    """The new etcd has served by then, and hangs in the second run, which has the first one's copy of what etcd had stored."""
    with trouble(fresh, KILL_BESIDE_THE_COPY):
        killed = upgrade(fresh)
    assert killed.code not in (0, 1), str(killed)
    fresh.until("the new version serves", lambda: serving(fresh) == f"v{VERSION}", patience=300)
    writer = Writer(fresh, 6443)
    time.sleep(10)
    fresh.run("pkill", "-STOP", "-x", "etcd")
    with trouble(fresh, HANGING, new_etcd(), "0"):
        failed = upgrade(fresh, *with_little_patience(fresh))
    fresh.try_("pkill", "-CONT", "-x", "etcd")
    assert failed.code == 1, str(failed)
    comes_to_the_end(fresh, writer)


# ---- kubestrap is killed, power goes


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_upgrade_that_is_killed_at_any_moment_leaves_one_that_serves_and_goes_on(fresh, moment):
    writer = Writer(fresh, 6443)
    said = fresh.stop(*UPGRADE, delay=moment)
    print(f"killed after {moment} s: {said.splitlines()[-2]}")
    comes_to_the_end(fresh, writer)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_upgrade_that_loses_its_power_at_any_moment_leaves_one_that_serves_and_goes_on(fresh, moment):
    writer = Writer(fresh, 6443, outside=True)
    driver = fresh.popen("kubestrap", *UPGRADE)
    time.sleep(moment)
    print(f"power lost after {moment} s: {'the upgrade was through' if driver.poll() == 0 else 'in the middle'}")
    fresh.lab.off(fresh)
    driver.communicate(timeout=30)
    fresh.lab.on(fresh)
    comes_to_the_end(fresh, writer)


# ---- disks

# A folder gets a file system of its own, with what was in it and so much room besides, which can be full by a file that is not in the folder.
SMALL = """
room=$(($(du -sm "$1" | cut -f 1) + $2))
mkdir /disk; mount -t tmpfs -o "size=${room}m" disk /disk; mkdir -p "/disk$1" "$1"
cp -a "$1/." "/disk$1/"; mount --bind "/disk$1" "$1"
"""
FILL = "dd if=/dev/zero of=/disk/filling bs=1k 2>/dev/null; df /disk | grep -q 100%"
# It is full as soon as a manifest is another one.
FILL_IN_THE_MIDDLE = f"""
before=$(sha256sum {MANIFESTS}/*)
while [ "$(sha256sum {MANIFESTS}/*)" = "$before" ]; do sleep 0.05; done
""" + FILL


def gets_full(machine) -> None:
    """Before it begins, and then when it has begun."""
    writer = Writer(machine, 6443)
    machine.sh(FILL)
    refused = upgrade(machine)
    assert refused.code == 3 and "DiskSpace" in refused.err, str(refused)
    machine.run("rm", "/disk/filling")
    machine.until("it serves", lambda: serving(machine) == f"v{OLDER}", patience=300)
    with trouble(machine, FILL_IN_THE_MIDDLE):
        full = upgrade(machine, *with_little_patience(machine))
        machine.sh("df /disk | grep -q 100%")
    print(full.err)
    machine.run("rm", "/disk/filling")
    comes_to_the_end(machine, writer)


def test_an_upgrade_whose_etcd_has_no_room_any_more_leaves_one_that_serves_and_goes_on_with_room_again(lab):
    machine = older_node(lab)
    machine.sh(SMALL, "/var/lib/etcd", "1000")
    begin(machine)
    gets_full(machine)


NO_EVICTION = ("\n  imagefs.available: 200Mi", "\n  imagefs.available: 0%")  # a full disk would make the kubelet remove images, and there is no registry


def test_an_upgrade_whose_runtime_has_no_room_any_more_leaves_one_that_serves_and_goes_on_with_room_again(lab):
    machine = older_node(lab)
    machine.run("systemctl", "stop", "containerd")
    machine.sh(SMALL, "/var/lib/containerd", "2000")
    machine.run("systemctl", "start", "containerd")
    begin(machine, NO_EVICTION)
    gets_full(machine)
